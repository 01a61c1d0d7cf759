package netpolicy_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/runnerd/runnerd/pkg/netpolicy"
)

var (
	web = netpolicy.Peer{CIDR: "198.51.100.0/24", TCP: []int32{443}}
	db  = netpolicy.Peer{Namespace: "databases", Pods: map[string]string{"app": "postgres"}, TCP: []int32{5432}}
	dns = netpolicy.Peer{Namespace: "kube-system", Pods: map[string]string{"k8s-app": "kube-dns"}, TCP: []int32{53}, UDP: []int32{53}}
)

func runner(name string, namespaces ...string) netpolicy.Runner {
	return netpolicy.Runner{Name: name, Namespaces: namespaces, Base: netpolicy.Base{GitLab: []netpolicy.Peer{web, db}}}
}

func inTiers(r netpolicy.Runner, tiers ...netpolicy.Tier) netpolicy.Runner {
	r.Tiers = tiers
	return r
}

func TestNetworkMerge(t *testing.T) {
	trusted, open := netpolicy.Tier{Name: "trusted", Egress: []netpolicy.Peer{db, web}}, netpolicy.Tier{Name: "open"}
	reordered := netpolicy.Tier{Name: "trusted", Egress: []netpolicy.Peer{web, db}}
	swapped := runner("b", "ci")
	swapped.Base = netpolicy.Base{GitLab: []netpolicy.Peer{db, web}, DNS: []netpolicy.Peer{dns}}

	tests := map[string]struct {
		runners []netpolicy.Runner
		want    map[string][]string // namespace → tiers
	}{
		"nobody":                       {nil, map[string][]string{}},
		"one runner, two namespaces":   {[]netpolicy.Runner{inTiers(runner("a", "ci", "deploy"), trusted)}, map[string][]string{"ci": {"trusted"}, "deploy": {"trusted"}}},
		"a namespace named twice":      {[]netpolicy.Runner{runner("a", "ci", "ci")}, map[string][]string{"ci": nil}},
		"tiers of two come together":   {[]netpolicy.Runner{inTiers(runner("a", "ci"), trusted), inTiers(runner("b", "ci"), open)}, map[string][]string{"ci": {"trusted", "open"}}},
		"order of peers is no matter":  {[]netpolicy.Runner{inTiers(runner("a", "ci"), trusted), inTiers(runner("b", "ci"), reordered)}, map[string][]string{"ci": {"trusted"}}},
		"the default DNS, written out": {[]netpolicy.Runner{runner("a", "ci"), swapped}, map[string][]string{"ci": nil}},
		"namespaces keep runners apart": {
			[]netpolicy.Runner{inTiers(runner("a", "ci"), trusted), inTiers(runner("b", "deploy"), netpolicy.Tier{Name: "trusted"})},
			map[string][]string{"ci": {"trusted"}, "deploy": {"trusted"}},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			c, err := netpolicy.Merge(tt.runners)
			if err != nil {
				t.Fatal(err)
			}
			got := map[string][]string{}
			for _, n := range c.Namespaces {
				var tiers []string
				for _, t := range n.Tiers {
					tiers = append(tiers, t.Name)
				}
				got[n.Name] = tiers
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("namespaces and their tiers (-want +got):\n%s", diff)
			}
		})
	}
}

func TestNetworkMergeConflicts(t *testing.T) {
	trusted := netpolicy.Tier{Name: "trusted", Egress: []netpolicy.Peer{db}}
	other := runner("b", "x", "ci")
	other.Base.Proxy = []netpolicy.Peer{web}

	tests := map[string]struct {
		runners []netpolicy.Runner
		want    []string // lines of the error: words that each has
	}{
		"two bases":             {[]netpolicy.Runner{runner("a", "ci"), other}, []string{`namespace "ci": runners "a" and "b" proxy same`}},
		"two egresses of one":   {[]netpolicy.Runner{inTiers(runner("a", "ci"), trusted), inTiers(runner("b", "ci"), netpolicy.Tier{Name: "trusted", Egress: []netpolicy.Peer{db, web}})}, []string{`"ci" "a" and "b" tier "trusted"`}},
		"used without egress":   {[]netpolicy.Runner{inTiers(runner("a", "ci"), netpolicy.Tier{Name: "trusted"}), inTiers(runner("b", "ci"), trusted)}, []string{`"ci" "a" and "b" tier "trusted"`}},
		"every pair, all of it": {[]netpolicy.Runner{inTiers(runner("a", "ci"), trusted), runner("c", "ci"), inTiers(other, netpolicy.Tier{Name: "trusted"})}, []string{`"a" and "b" proxy`, `"a" and "b" "trusted"`, `"c" and "b" proxy`}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			c, err := netpolicy.Merge(tt.runners)
			if err == nil || len(c.Namespaces) > 0 {
				t.Fatalf("Merge: %v, %v; want an error alone", c, err)
			}
			lines := strings.Split(err.Error(), "\n")
			if len(lines) != len(tt.want) {
				t.Fatalf("error has %d lines, want %d:\n%v", len(lines), len(tt.want), err)
			}
			for i, words := range tt.want {
				for word := range strings.FieldsSeq(words) {
					if !strings.Contains(lines[i], word) {
						t.Errorf("error %q does not say %s", lines[i], word)
					}
				}
			}
		})
	}
}
