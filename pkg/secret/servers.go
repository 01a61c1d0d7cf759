package secret

import (
	"path"
	"slices"
	"strings"
)

// allowed reports whether the operator lets jobs have the daemon connect to the
// server at address.
func (r *Resolver) allowed(address string) bool {
	if len(r.servers) == 0 {
		return true
	}
	server := origin(address)
	return slices.ContainsFunc(r.servers, func(pattern string) bool {
		ok, err := path.Match(origin(pattern), server)
		return err == nil && ok
	})
}

// origin returns scheme://host[:port] of a URL or of a pattern of one, in lower
// case and without the scheme's own port.
func origin(address string) string {
	scheme, rest, ok := strings.Cut(strings.ToLower(address), "://")
	if !ok {
		return ""
	}
	host, _, _ := strings.Cut(rest, "/")
	port := map[string]string{"https": ":443", "http": ":80"}[scheme]
	return scheme + "://" + strings.TrimSuffix(host, port)
}
