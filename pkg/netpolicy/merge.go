package netpolicy

import (
	"errors"
	"fmt"
	"slices"
)

// A Runner is what one runner's jobs may reach, and where they run.
type Runner struct {
	Name       string // for errors
	Namespaces []string
	Base       Base
	Tiers      []Tier // those that its jobs may be in, also without egress; each name once
}

// Merge puts together what several runners of one cluster say of their
// namespaces.
//
// In a namespace that two of them share a policy holds for the pods of both.
// They therefore have to say the same of the base, and of each tier that both
// have; else one runner's jobs could reach what only the other's may. The error
// joins all such conflicts, each naming the two runners. The order of peers
// does not matter.
func Merge(runners []Runner) (Config, error) {
	var c Config
	var conflicts []error
	for _, name := range namespaces(runners) {
		n := Namespace{Name: name}
		var before []Runner
		for _, r := range runners {
			if !slices.Contains(r.Namespaces, name) {
				continue
			}
			for _, other := range before {
				conflicts = append(conflicts, compare(name, other, r)...)
			}
			n.Base = r.Base
			n.Tiers = append(n.Tiers, missing(n.Tiers, r.Tiers)...)
			before = append(before, r)
		}
		c.Namespaces = append(c.Namespaces, n)
	}
	if err := errors.Join(conflicts...); err != nil {
		return Config{}, err
	}
	return c, nil
}

// namespaces returns each name once.
func namespaces(runners []Runner) []string {
	var names []string
	for _, r := range runners {
		names = append(names, r.Namespaces...)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// missing returns those of more that are not in tiers.
func missing(tiers, more []Tier) []Tier {
	return slices.DeleteFunc(slices.Clone(more), func(t Tier) bool {
		_, known := find(tiers, t.Name)
		return known
	})
}

func find(tiers []Tier, name string) (Tier, bool) {
	i := slices.IndexFunc(tiers, func(t Tier) bool { return t.Name == name })
	if i < 0 {
		return Tier{}, false
	}
	return tiers[i], true
}

// compare returns what two runners disagree about.
func compare(namespace string, a, b Runner) []error {
	var conflicts []error
	for _, base := range []struct {
		key  string
		a, b []Peer
	}{
		{"dns", a.Base.dns(), b.Base.dns()},
		{"gitlab", a.Base.GitLab, b.Base.GitLab},
		{"object_store", a.Base.ObjectStore, b.Base.ObjectStore},
		{"proxy", a.Base.Proxy, b.Base.Proxy},
	} {
		if !same(base.a, base.b) {
			conflicts = append(conflicts, fmt.Errorf("namespace %q: runners %q and %q have different peers in [runners.policy.network] %s; write the same in both, or give one of them another namespace",
				namespace, a.Name, b.Name, base.key))
		}
	}
	for _, t := range a.Tiers {
		if other, ok := find(b.Tiers, t.Name); ok && !same(t.Egress, other.Egress) {
			conflicts = append(conflicts, fmt.Errorf("namespace %q: runners %q and %q both have jobs in the network tier %q, with different egress in [[runners.policy.network.tiers]]; write the same in both, or give the tier of one of them another name",
				namespace, a.Name, b.Name, t.Name))
		}
	}
	return conflicts
}

// same reports whether two lists hold the same peers.
func same(a, b []Peer) bool { return slices.Equal(words(a), words(b)) }

// words writes each peer as text that no other peer has, in order.
func words(peers []Peer) []string {
	list := make([]string, 0, len(peers))
	for _, p := range peers {
		list = append(list, fmt.Sprintf("%q %q %q %q %d %d", p.CIDR, p.Except, p.Namespace, p.Pods, p.TCP, p.UDP))
	}
	slices.Sort(list)
	return slices.Compact(list)
}
