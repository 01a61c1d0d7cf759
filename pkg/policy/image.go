package policy

import (
	"net/netip"
	"strings"

	"github.com/distribution/reference"
)

// An image is a reference in its one canonical form: the way in which a name is
// written (default registry, library/, upper-case host, missing tag) makes no
// difference to the rules. It is read by the parser that the kubelet and
// containerd read it with.
type image struct {
	repository string // with the registry's host, "docker.io/library/redis"
	identity   string // of repository
	tag        string // "latest" when neither tag nor digest is given
	digest     string // when given, it alone decides what runs: tag is then empty
	resolved   string // what tag stands for, where somebody has looked
}

func parseImage(name string) (image, error) {
	ref, err := reference.ParseNormalizedNamed(name)
	if err != nil {
		return image{}, err
	}
	if host := reference.Domain(ref); host != lowerHost(host) {
		// A host in lower case may be the default registry's, which has rules of
		// its own.
		return parseImage(lowerHost(host) + strings.TrimPrefix(ref.String(), host))
	}
	im := image{repository: ref.Name(), identity: identity(ref.Name())}
	if d, ok := ref.(reference.Digested); ok {
		im.digest = d.Digest().String()
		return im, nil
	}
	im.tag = "latest"
	if t, ok := ref.(reference.Tagged); ok {
		im.tag = t.Tag()
	}
	return im, nil
}

// lowerHost returns the host in lower case, where it then still is one: a host
// of one word is taken for one only because of its upper-case letters.
func lowerHost(host string) string {
	if lower := strings.ToLower(host); isHost(lower) {
		return lower
	}
	return host
}

// isHost reports whether the first part of a name is a registry's host.
func isHost(part string) bool {
	return strings.ContainsAny(part, ".:") || part == "localhost" || part != strings.ToLower(part)
}

func (im image) String() string {
	if im.digest != "" {
		return im.repository + "@" + im.digest
	}
	return im.repository + ":" + im.tag
}

// runs returns the digest of what runs, "" when it is not known.
func (im image) runs() string {
	if im.digest != "" {
		return im.digest
	}
	return im.resolved
}

// same reports whether both names ask for the same.
func (im image) same(other image) bool {
	return im.repository == other.repository && im.tag == other.tag && im.digest == other.digest
}

// hubHosts serve the images of docker.io under other names.
var hubHosts = map[string]bool{
	"index.docker.io": true, "registry-1.docker.io": true, "registry.hub.docker.com": true, "hub.docker.com": true,
}

// identity returns the one form of the ways in which a repository can be
// reached: with the port that it has anyway, by another name of the default
// registry, by an address in other words. Lists of what is denied compare it;
// for lists of what is allowed those are different places.
func identity(repository string) string {
	host, path, ok := strings.Cut(repository, "/")
	if !ok {
		return repository
	}
	host = strings.TrimSuffix(strings.TrimSuffix(host, ":443"), ":80")
	if inner, ok := strings.CutPrefix(host, "["); ok {
		address, port, _ := strings.Cut(inner, "]")
		if ip, err := netip.ParseAddr(address); err == nil && ip.Unmap().Is4() {
			host = ip.Unmap().String() + port
		} else if err == nil {
			host = "[" + ip.String() + "]" + port
		}
	}
	if hubHosts[host] || host == "docker.io" {
		host = "docker.io"
		if !strings.ContainsAny(path, "/*") {
			path = "library/" + path
		}
	}
	return host + "/" + path
}
