package config

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestPolicy(t *testing.T) {
	t.Setenv("READ_TOKEN", "glpat-x")
	c, warnings, err := Parse("config.toml", []byte(entry+`
[runners.kubernetes]
namespace = "ci"
[runners.kubernetes.resource_classes.large]
cpu_request = "4"
[runners.policy]
network_policy = true
[runners.policy.gitlab]
token = "${READ_TOKEN}"
[[runners.policy.network.gitlab]]
cidr = "203.0.113.7/32"
ports = [443]
[[runners.policy.network.tiers]]
name = "trusted"
egress = [{ namespace = "db", pods = { app = "postgres" }, ports = [5432] }]
[[runners.policy.rules]]
name = "deploys"
action = "shape"
protected = true
user_ids = [3]
node_selector = { pool = "trusted" }
network_tier = "trusted"
`))
	if err != nil || len(warnings) > 0 {
		t.Fatalf("Parse: %v, warnings %v", err, warnings)
	}
	p := c.Runners[0].Policy
	want := Policy{
		Mode: ModeEnforce, Default: DefaultAllow, NetworkPolicy: true, NetworkTier: "default",
		GitLab: PolicyGitLab{Token: "glpat-x", CacheFor: Duration(time.Minute), Timeout: Duration(10 * time.Second)},
		Network: Network{
			GitLab: []Peer{{CIDR: "203.0.113.7/32", Ports: []int64{443}}},
			Tiers:  []NetworkTier{{Name: "trusted", Egress: []Peer{{Namespace: "db", Pods: map[string]string{"app": "postgres"}, Ports: []int64{5432}}}}},
		},
		Rules: []Rule{{
			Name: "deploys", Action: "shape", Protected: Some(true), UserIDs: []int64{3},
			NodeSelector: map[string]string{"pool": "trusted"}, NetworkTier: "trusted",
		}},
	}
	if diff := cmp.Diff(want, p); diff != "" {
		t.Errorf("policy (-want +got):\n%s", diff)
	}
	if got := c.Runners[0].Kubernetes.ResourceClasses["large"].CPURequest; got != "4" {
		t.Errorf("class large asks for %q CPUs, want 4", got)
	}
}

func TestPolicyProblems(t *testing.T) {
	tests := []struct {
		name, text string
		want       string
	}{
		{"mode", `mode = "dry"`, `policy.mode: "dry"; write one of enforce, audit`},
		{"default", `default = "denied"`, `policy.default: "denied"; write one of allow, deny`},
		{"unknown key", `protected_ref_only = true`, `did you mean "protected_refs_only"?`},
		{"rule's unknown key", "[[runners.policy.rules]]\nname = \"a\"\nproject = [\"x\"]", `policy.rules[0].project: unknown key; did you mean "projects"?`},
		{"rule's type", "[[runners.policy.rules]]\nprotected = \"yes\"", "policy.rules[0].protected: is a string; write true or false"},
		{"namespace with a variable", "[[runners.policy.rules]]\nnamespace = \"$CI_PROJECT\"", "policy.rules[0].namespace"},
		{"node label", "[[runners.policy.rules]]\nnode_selector = { \"a b\" = \"c\" }", "policy.rules[0].node_selector"},
		{"toleration", "[[runners.policy.rules]]\nnode_tolerations = { a = \"Never\" }", "policy.rules[0].node_tolerations.a"},
		{"taint", "[[runners.policy.rules]]\nnode_tolerations = { \"a b\" = \"\" }", "no key of a taint"},
		{"empty expression", "[[runners.policy.rules]]\nexpression = \"\"", "policy.rules[0].expression: empty"},
		{"no token", "[runners.policy.gitlab]\ntoken = \"\"", "GitLab would not be asked"},
		{"no token at all", "[runners.policy.gitlab]\ncache_for = \"1m\"", "GitLab would not be asked"},
		{"time", "[runners.policy.gitlab]\ntoken = \"a\"\ncache_for = \"-1s\"", "-1s is in the past"},
		{"peer's label", "[[runners.policy.network.proxy]]\nnamespace = \"a\"\npods = { \"a b\" = \"c\" }", "no name of a label"},
		{"tier", "[[runners.policy.rules]]\nnetwork_tier = \"a b\"", "policy.rules[0].network_tier"},
		{"keys", "[[runners.policy.signatures]]\nimages = [\"**\"]", "policy.signatures[0].keys: missing"},
		{"two tokens", "[runners.policy.gitlab]\ntoken = \"a\"\ntoken_file = \"b\"", "exclude each other"},
		{"peer", "[[runners.policy.network.gitlab]]\nports = [443]", "write cidr, or namespace"},
		{"peer's range", "[[runners.policy.network.proxy]]\ncidr = \"10.0.0.1\"", "no address range"},
		{"peer's exception", "[[runners.policy.network.proxy]]\ncidr = \"10.0.0.0/8\"\nexcept = [\"11.0.0.0/16\"]", "no address range within"},
		{"peer's port", "[[runners.policy.network.proxy]]\ncidr = \"10.0.0.0/8\"\nudp_ports = [70000]", "70000 is no port"},
		{"tier twice", "[[runners.policy.network.tiers]]\nname = \"a\"\n[[runners.policy.network.tiers]]\nname = \"a\"", "is there already"},
		{"registry", `insecure_registries = ["http://x"]`, "policy.insecure_registries[0]"},
		{"class", "[runners.kubernetes.resource_classes.big]\ncpu_request = \"many\"", "kubernetes.resource_classes.big.cpu_request"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, _, err := Parse("config.toml", []byte(entry+"[runners.policy]\n"+tt.text+"\n"))
			p, ok := errors.AsType[*Problem](err)
			if !ok || p.Line == 0 || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Parse says %v, want a problem with %q", err, tt.want)
			}
		})
	}
}

func TestPolicyWarnings(t *testing.T) {
	for text, want := range map[string]string{
		"denied_images = [\"miner\"]":                       "does not keep them from being services",
		"pin_images = true":                                 "any registry that a job names",
		"network_policy = true":                             "no job reach GitLab",
		"[[runners.policy.network.tiers]]\nname = \"a\"":    "no effect without network_policy",
		"insecure_registries = [\"registry.example:5000\"]": "runnerd asks registries only",
	} {
		_, warnings, err := Parse("config.toml", []byte(entry+"[runners.kubernetes]\nnamespace = \"ci\"\n[runners.policy]\n"+text+"\n"))
		if err != nil || len(warnings) != 1 || !strings.Contains(warnings[0].String(), want) {
			t.Errorf("%q: warnings %v, %v; want %q", text, warnings, err, want)
		}
	}
}
