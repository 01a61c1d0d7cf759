package netpolicy_test

import (
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/runnerd/runnerd/pkg/netpolicy"
)

func TestNetworkPolicyNames(t *testing.T) {
	tests := map[string]struct{ tier, want string }{
		"a name stays":                              {"trusted", "runnerd-jobs-trusted"},
		"a long name stays":                         {strings.Repeat("a", 63), "runnerd-jobs-" + strings.Repeat("a", 63)},
		"capitals get a hash":                       {"Trusted", "runnerd-jobs-trusted.639538c63b"},
		"other capitals get another":                {"tRUSTED", "runnerd-jobs-trusted."},
		"dots and underscores get a hash":           {"v1.0_a", "runnerd-jobs-v1-0-a."},
		"dots in a row":                             {"a..b", "runnerd-jobs-a--b."},
		"a name that looks like a rewritten one":    {"trusted.639538c63b", "runnerd-jobs-trusted-639538c63b."},
		"no label's value, and still no panic":      {"…", "runnerd-jobs."},
		"too long for a label, and still an object": {strings.Repeat("é1", 100), "runnerd-jobs--1-1"},
	}
	seen := map[string]string{}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			policies := netpolicy.Render(netpolicy.Config{Namespaces: []netpolicy.Namespace{{
				Name: "ci", Tiers: []netpolicy.Tier{{Name: tt.tier, Egress: []netpolicy.Peer{{CIDR: "0.0.0.0/0"}}}},
			}}})
			got := policies[1].Name
			if !strings.HasPrefix(got, tt.want) {
				t.Errorf("the policy of tier %q is named %q, want %q…", tt.tier, got, tt.want)
			}
			for _, problem := range validation.IsDNS1123Subdomain(got) {
				t.Errorf("name %q: %s", got, problem)
			}
			if other, taken := seen[got]; taken {
				t.Errorf("tiers %q and %q share the name %q", other, tt.tier, got)
			}
			seen[got] = tt.tier
			if value := policies[1].Spec.PodSelector.MatchLabels[netpolicy.Label]; value != tt.tier {
				t.Errorf("selects %q, want the tier as it is on the pods", value)
			}
		})
	}
}
