package job

import (
	"net"
	"net/url"
	"slices"
	"strings"
)

// A Proxy says through what jobs reach the outside. The zero Proxy is none.
type Proxy struct {
	HTTP  string   `json:"http,omitempty"`  // URL, for http
	HTTPS string   `json:"https,omitempty"` // URL, for https
	No    []string `json:"no,omitempty"`    // hosts, domains and addresses that are reached without; CIDRs for what knows them
}

// alwaysDirect is what no proxy outside of the pod, or the cluster, can know.
var alwaysDirect = []string{"localhost", "127.0.0.1", "::1", ".svc", ".cluster.local"}

// set reports whether there is a proxy at all.
func (p Proxy) set() bool { return p.HTTP != "" || p.HTTPS != "" }

// orNone is the zero Proxy where there is none.
func (p Proxy) orNone() Proxy {
	if !p.set() {
		return Proxy{}
	}
	return p
}

// withDirect adds to p.No what is never reached through a proxy: what is in the pod
// or the cluster, the services, and those of hosts that only the cluster's own
// network knows.
func (p Proxy) withDirect(services []Service, hosts []string) Proxy {
	no := slices.Concat(p.No, alwaysDirect)
	for _, s := range services {
		no = append(no, s.Aliases...)
		no = append(no, DefaultAliases(s.Name)...)
	}
	for _, host := range hosts {
		if isInner(host) {
			no = append(no, host)
		}
	}
	p.No = nil
	for _, host := range no {
		if host != "" && !slices.Contains(p.No, host) {
			p.No = append(p.No, host)
		}
	}
	return p
}

// isInner reports whether a host is one of the cluster's or of a private network: a
// name of one word, or a private address. Of other names nobody knows but by asking.
func isInner(host string) bool {
	if ip := net.ParseIP(host); ip != nil {
		return ip.IsPrivate() || ip.IsLoopback() || ip.IsLinkLocalUnicast()
	}
	return host != "" && !strings.Contains(host, ".")
}

// variables are p as programs read it: each name in both cases. Those of a name that
// the job, or the runner's environment, has in either case are left out, so that no
// program prefers them.
func (p Proxy) variables(others []Variable) []Variable {
	if !p.set() {
		return nil
	}
	var vars []Variable
	for _, v := range []struct{ name, value string }{
		{"http_proxy", p.HTTP}, {"https_proxy", p.HTTPS}, {"no_proxy", p.NoProxy()},
	} {
		taken := func(o Variable) bool { return strings.EqualFold(o.Key, v.name) }
		if v.value == "" || slices.ContainsFunc(others, taken) {
			continue
		}
		secret := p.password(v.value) != ""
		for _, key := range []string{v.name, strings.ToUpper(v.name)} {
			vars = append(vars, Variable{Key: key, Value: v.value, Raw: true, Public: !secret, Masked: secret})
		}
	}
	return vars
}

// NoProxy is p.No as programs read it.
func (p Proxy) NoProxy() string { return strings.Join(p.No, ",") }

// secrets are the passwords of p's URLs.
func (p Proxy) secrets() []Secret {
	var list []Secret
	for _, address := range []string{p.HTTP, p.HTTPS} {
		if password := p.password(address); password != "" {
			list = append(list, Secret(password))
		}
	}
	return list
}

func (Proxy) password(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.User == nil {
		return ""
	}
	password, _ := u.User.Password()
	return password
}
