package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	networkingv1 "k8s.io/api/networking/v1"
	"sigs.k8s.io/yaml"
)

// networkEntry is a [[runners]] table; more goes behind its [runners.kubernetes]
// namespace.
func networkEntry(name, namespace, more string) string {
	return "[[runners]]\nname = \"" + name + "\"\nurl = \"https://gitlab.example.com\"\ntoken = \"glrt-" + name + "\"\nexecutor = \"kubernetes\"\n" +
		"[runners.kubernetes]\nnamespace = \"" + namespace + "\"\n" + more + "\n"
}

const (
	labelled = "[runners.policy]\nnetwork_policy = true\n"
	toGitLab = "[[runners.policy.network.gitlab]]\ncidr = \"10.20.0.5/32\"\nports = [443]\n"
	toDB     = "[[runners.policy.network.tiers]]\nname = \"trusted\"\negress = [{ namespace = \"db\", pods = { app = \"postgres\" }, ports = [5432] }]\n"
	toWeb    = "[[runners.policy.network.tiers]]\nname = \"trusted\"\negress = [{ cidr = \"0.0.0.0/0\", except = [\"169.254.169.254/32\"], udp_ports = [443] }]\n"
	toNobody = "[[runners.policy.network.tiers]]\nname = \"trusted\"\n"
	deploy   = "[[runners.policy.rules]]\nname = \"deploy\"\naction = \"shape\"\nrefs = [\"main\"]\nnamespace = \"deploy\"\nnetwork_tier = \"trusted\"\n"
)

// network runs the command on a config file, and returns what it prints.
func network(t *testing.T, text string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "config.toml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var out, errs bytes.Buffer
	c := policyNetworkCommand(&app{stdout: &out, stderr: &errs, configPath: path})
	c.SilenceErrors, c.SilenceUsage = true, true
	c.SetArgs(args)
	code = exitCode(c.ExecuteContext(t.Context()), &errs)
	return out.String(), strings.ReplaceAll(errs.String(), path, "config.toml"), code
}

func TestPolicyNetwork(t *testing.T) {
	tests := map[string]struct {
		config string
		args   []string
		want   []string // namespace/name of each policy, in order
	}{
		"the runner's namespace": {
			networkEntry("a", "ci", labelled+toGitLab), nil,
			[]string{"ci/runnerd-jobs"},
		},
		"and those of its rules, with its tiers": {
			networkEntry("a", "ci", labelled+toGitLab+toDB+deploy), nil,
			[]string{"ci/runnerd-jobs", "ci/runnerd-jobs-trusted", "deploy/runnerd-jobs", "deploy/runnerd-jobs-trusted"},
		},
		"a runner without network_policy is not there": {
			networkEntry("a", "ci", labelled+toGitLab) + networkEntry("b", "other", ""), nil,
			[]string{"ci/runnerd-jobs"},
		},
		"one namespace": {
			networkEntry("a", "ci", labelled+toGitLab+toNobody+deploy),
			[]string{"--namespace", "deploy"},
			[]string{"deploy/runnerd-jobs"},
		},
		"one runner, with what its neighbour says of the namespace": {
			networkEntry("a", "ci", labelled+toGitLab) + networkEntry("b", "ci", labelled+toGitLab+toDB) + networkEntry("c", "elsewhere", labelled+toGitLab),
			[]string{"--runner", "a"},
			[]string{"ci/runnerd-jobs", "ci/runnerd-jobs-trusted"},
		},
		"one runner of two in different clusters": {
			networkEntry("a", "ci", labelled+toGitLab) + networkEntry("b", "ci", "context = \"two\"\n"+labelled+toGitLab+toDB),
			[]string{"-n", "a"},
			[]string{"ci/runnerd-jobs"},
		},
		"a conflict elsewhere is no matter": {
			networkEntry("a", "ci", labelled+toGitLab) + networkEntry("b", "x", labelled+toGitLab+toDB) + networkEntry("c", "x", labelled+toGitLab+toWeb),
			[]string{"-n", "a"},
			[]string{"ci/runnerd-jobs"},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			stdout, stderr, code := network(t, tt.config, tt.args...)
			if code != exitOK {
				t.Fatalf("exit code %d: %s", code, stderr)
			}
			header, rest, _ := strings.Cut(stdout, "---\n")
			if !strings.HasPrefix(header, "# NetworkPolicies") || strings.Contains(header, "\n\n") {
				t.Errorf("the text begins with %q", header)
			}
			var got []string
			for text := range strings.SplitSeq(rest, "---\n") {
				var p networkingv1.NetworkPolicy
				if err := yaml.UnmarshalStrict([]byte(text), &p); err != nil {
					t.Fatal(err)
				}
				if p.Kind != "NetworkPolicy" || p.Labels["app.kubernetes.io/managed-by"] != "runnerd" {
					t.Errorf("%s is a %q with the labels %v", p.Name, p.Kind, p.Labels)
				}
				got = append(got, p.Namespace+"/"+p.Name)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("policies (-want +got):\n%s", diff)
			}
		})
	}
}

// TestPolicyNetworkPeers follows every key of a peer into the policy.
func TestPolicyNetworkPeers(t *testing.T) {
	stdout, stderr, code := network(t, networkEntry("a", "ci", labelled+toGitLab+toWeb), "--runner", "a")
	if code != exitOK {
		t.Fatalf("exit code %d: %s", code, stderr)
	}
	want := `# NetworkPolicies of runnerd's job pods, made from config.toml by
#   runnerd policy network --runner "a"
# Change the configuration and print them anew; do not edit them.
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  labels:
    app.kubernetes.io/managed-by: runnerd
  name: runnerd-jobs
  namespace: ci
spec:
  egress:
  - ports:
    - port: 53
      protocol: UDP
    - port: 53
      protocol: TCP
    to:
    - namespaceSelector:
        matchLabels:
          kubernetes.io/metadata.name: kube-system
      podSelector:
        matchLabels:
          k8s-app: kube-dns
  - ports:
    - port: 443
      protocol: TCP
    to:
    - ipBlock:
        cidr: 10.20.0.5/32
  podSelector:
    matchExpressions:
    - key: runnerd.io/network-tier
      operator: Exists
  policyTypes:
  - Ingress
  - Egress
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  labels:
    app.kubernetes.io/managed-by: runnerd
  name: runnerd-jobs-trusted
  namespace: ci
spec:
  egress:
  - ports:
    - port: 443
      protocol: UDP
    to:
    - ipBlock:
        cidr: 0.0.0.0/0
        except:
        - 169.254.169.254/32
  podSelector:
    matchLabels:
      runnerd.io/network-tier: trusted
  policyTypes:
  - Egress
`
	if diff := cmp.Diff(want, stdout); diff != "" {
		t.Errorf("printed (-want +got):\n%s", diff)
	}
}

func TestPolicyNetworkRefuses(t *testing.T) {
	tests := map[string]struct {
		config string
		args   []string
		want   string
	}{
		"nobody has network policies": {
			networkEntry("a", "ci", ""), nil,
			`runnerd: no entry of "config.toml" that was asked for has pods with network policies; write network_policy = true in its [runners.policy] (executor "kubernetes")`,
		},
		"the local executor has no pods": {
			strings.Replace(networkEntry("a", "ci", labelled), `"kubernetes"`, `"local"`, 1), nil,
			`runnerd: no entry of "config.toml" that was asked for has pods`,
		},
		"no such runner": {
			networkEntry("a", "ci", labelled),
			[]string{"-n", "b"},
			`runnerd: no [[runners]] entry in "config.toml" is the one asked for; see runnerd list`,
		},
		"no such namespace": {
			networkEntry("a", "ci", labelled+toNobody+deploy),
			[]string{"--namespace", "x"},
			`runnerd: --namespace "x": no job's pod gets there; write one of ["ci" "deploy"]`,
		},
		"a namespace with a variable": {
			networkEntry("a", "ci-$CI_PROJECT_ID", labelled), nil,
			`config.toml:7: runners[0].kubernetes.namespace: "ci-$CI_PROJECT_ID": variables are not replaced here`,
		},
		"two bases of one namespace": {
			networkEntry("a", "ci", labelled+toGitLab) + networkEntry("b", "ci", labelled), nil,
			`runnerd: namespace "ci": runners "a" and "b" have different peers in [runners.policy.network] gitlab; write the same in both, or give one of them another namespace`,
		},
		"two tiers of one name": {
			networkEntry("a", "ci", labelled+toDB) + networkEntry("b", "ci", labelled+toWeb), nil,
			`runnerd: namespace "ci": runners "a" and "b" both have jobs in the network tier "trusted", with different egress`,
		},
		"a tier that one uses and the other opens": {
			networkEntry("a", "deploy", labelled+toDB) + networkEntry("b", "ci", labelled+toNobody+deploy), nil,
			`runnerd: namespace "deploy": runners "a" and "b" both have jobs in the network tier "trusted", with different egress`,
		},
		"the tier of all jobs of one, which the other opens": {
			networkEntry("a", "ci", labelled+strings.Replace(toDB, "trusted", "default", 1)) + networkEntry("b", "ci", labelled), nil,
			`runnerd: namespace "ci": runners "a" and "b" both have jobs in the network tier "default", with different egress`,
		},
		"two clusters": {
			networkEntry("a", "ci", labelled) + networkEntry("b", "ci", "context = \"two\"\n"+labelled), nil,
			`runnerd: runners "a" and "b" have their pods in different clusters; ask for the policies of one with --runner`,
		},
		"an argument": {
			networkEntry("a", "ci", labelled),
			[]string{"ci"},
			`runnerd: unexpected argument "ci"; network takes flags only`,
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			stdout, stderr, code := network(t, tt.config, tt.args...)
			if code != exitUsage || stdout != "" || !strings.HasPrefix(stderr, tt.want) {
				t.Errorf("exit code %d, printed %q, error\n%swant code %d, nothing, and\n%s", code, stdout, stderr, exitUsage, tt.want)
			}
		})
	}
}
