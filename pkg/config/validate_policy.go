package config

import (
	"net/netip"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"
)

// validate checks what needs no knowledge of images and rules; package policy
// checks the rest when its Rules are made.
func (p *Policy) validate(r *report, at, executor string) {
	oneOf(r, at+".mode", p.Mode, ModeEnforce, ModeAudit)
	oneOf(r, at+".default", p.Default, DefaultAllow, DefaultDeny)
	for i, s := range p.Signatures {
		s.validate(r, elementPath(at+".signatures", i))
	}
	for i, registry := range p.InsecureRegistries {
		if registry == "" || strings.Contains(registry, "/") {
			r.problem(elementPath(at+".insecure_registries", i), "%q; write host or host:port of a registry without TLS", registry)
		}
	}
	if len(p.InsecureRegistries) > 0 && !p.PinImages && len(p.Signatures) == 0 {
		r.warn(at+".insecure_registries", "has no effect: runnerd asks registries only for pin_images and signatures")
	}
	if len(p.DeniedImages) > 0 && len(p.DeniedServices) == 0 {
		r.warn(at+".denied_images", "does not keep them from being services; write denied_services as well")
	}
	p.GitLab.validate(r, at+".gitlab")
	for i, rule := range p.Rules {
		rule.validate(r, elementPath(at+".rules", i))
	}
	p.validateNetwork(r, at)
	if executor == ExecutorLocal && (p.Events || p.NetworkPolicy || p.PinImages || len(p.Signatures) > 0) {
		r.warn(at, "events, network_policy, pin_images and signatures have no effect: the local executor makes no pods")
	}
}

// validate checks what ends up in a pod's spec. The namespace of a rule knows no
// variables: one that a job can set must not choose it.
func (u *Rule) validate(r *report, at string) {
	if u.Expression == "" && r.index.has(at+".expression") {
		r.problem(at+".expression", "empty; write a CEL expression, or take the key out: without it every job fits")
	}
	dnsLabel(r, at+".namespace", u.Namespace)
	if problems := validation.IsDNS1123Subdomain(u.ServiceAccount); u.ServiceAccount != "" && len(problems) > 0 {
		r.problem(at+".service_account", "%q: %s", u.ServiceAccount, problems[0])
	}
	label(r, at+".network_tier", u.NetworkTier)
	label(r, at+".cache_tier", u.CacheTier)
	labels(r, at+".node_selector", u.NodeSelector)
	for key, effect := range u.NodeTolerations {
		name, value, _ := strings.Cut(key, "=")
		if problems := validation.IsQualifiedName(name); len(problems) > 0 {
			r.problem(joinPath(at+".node_tolerations", key), "no key of a taint: %s; write \"key\" or \"key=value\"", problems[0])
		}
		label(r, joinPath(at+".node_tolerations", key), value)
		oneOf(r, joinPath(at+".node_tolerations", key), effect, "NoSchedule", "PreferNoSchedule", "NoExecute")
	}
}

func (s *Signature) validate(r *report, at string) {
	if len(s.Keys) == 0 {
		r.problem(at+".keys", "missing; name the files of the public keys (cosign.pub) of which one has to fit")
	}
}

func (g *PolicyGitLab) validate(r *report, at string) {
	if !g.Asks() && r.index.has(at) {
		r.problem(at+".token", "missing or empty, so GitLab would not be asked; write token or token_file, or take the table out")
	}
	if g.Token != "" && g.TokenFile != "" {
		r.problem(at+".token_file", "token and token_file exclude each other; write one of them")
	}
	for key, d := range map[string]Duration{"cache_for": g.CacheFor, "timeout": g.Timeout} {
		if d < 0 {
			r.problem(at+"."+key, "%v is in the past; write a duration such as \"30s\"", d.Duration())
		}
	}
}

func (p *Policy) validateNetwork(r *report, at string) {
	label(r, at+".network_tier", p.NetworkTier)
	n, net := p.Network, at+".network"
	for name, peers := range map[string][]Peer{"dns": n.DNS, "gitlab": n.GitLab, "object_store": n.ObjectStore, "proxy": n.Proxy} {
		validatePeers(r, net+"."+name, peers)
	}
	seen := map[string]bool{}
	for i, tier := range n.Tiers {
		path := elementPath(net+".tiers", i)
		switch {
		case tier.Name == "":
			r.problem(path+".name", "missing; name the tier as the rules do in network_tier")
		case seen[tier.Name]:
			r.problem(path+".name", "%q is there already; put all egress of a tier into one table", tier.Name)
		}
		seen[tier.Name] = true
		label(r, path+".name", tier.Name)
		validatePeers(r, path+".egress", tier.Egress)
	}
	switch {
	case p.NetworkPolicy && len(n.GitLab) == 0:
		r.warn(net+".gitlab", "missing: the NetworkPolicies let no job reach GitLab for its sources; write [[runners.policy.network.gitlab]]")
	case !p.NetworkPolicy && len(n.DNS)+len(n.GitLab)+len(n.ObjectStore)+len(n.Proxy)+len(n.Tiers) > 0:
		r.warn(net, "has no effect without network_policy = true")
	}
}

func validatePeers(r *report, at string, peers []Peer) {
	for i, p := range peers {
		p.validate(r, elementPath(at, i))
	}
}

func (p *Peer) validate(r *report, at string) {
	prefix, err := netip.ParsePrefix(p.CIDR)
	switch {
	case (p.CIDR == "") == (p.Namespace == ""):
		r.problem(at, "write cidr, or namespace with or without pods, and not both")
	case p.CIDR != "" && err != nil:
		r.problem(at+".cidr", "%q is no address range; write one such as \"203.0.113.7/32\"", p.CIDR)
	case p.CIDR == "" && len(p.Except) > 0:
		r.problem(at+".except", "goes with cidr only; take it out")
	case p.CIDR != "" && len(p.Pods) > 0:
		r.problem(at+".pods", "goes with namespace only; take it out")
	}
	dnsLabel(r, at+".namespace", p.Namespace)
	labels(r, at+".pods", p.Pods)
	for i, text := range p.Except {
		inner, err := netip.ParsePrefix(text)
		if err != nil || !prefix.Contains(inner.Addr()) || inner.Bits() <= prefix.Bits() {
			r.problem(elementPath(at+".except", i), "%q is no address range within %q", text, p.CIDR)
		}
	}
	for key, ports := range map[string][]int64{"ports": p.Ports, "udp_ports": p.UDPPorts} {
		for i, port := range ports {
			if port < 1 || port > 65535 {
				r.problem(elementPath(at+"."+key, i), "%d is no port; write a number from 1 to 65535", port)
			}
		}
	}
}

func dnsLabel(r *report, at, name string) {
	if name == "" {
		return
	}
	if problems := validation.IsDNS1123Label(name); len(problems) > 0 {
		r.problem(at, "%q: %s", name, problems[0])
	}
}

func labels(r *report, at string, list map[string]string) {
	for key, value := range list {
		if problems := validation.IsQualifiedName(key); len(problems) > 0 {
			r.problem(joinPath(at, key), "no name of a label: %s", problems[0])
		}
		label(r, joinPath(at, key), value)
	}
}

func label(r *report, at, value string) {
	if problems := validation.IsValidLabelValue(value); len(problems) > 0 {
		r.problem(at, "%q cannot be a label: %s", value, problems[0])
	}
}
