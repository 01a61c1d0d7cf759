//go:build e2e

package e2e

import (
	"strings"
	"testing"

	"github.com/runnerd/runnerd/internal/standin"
)

// TestOverwritesStayWithinPolicy: a job of a runner that permits every overwrite
// tries to leave the place where a rule has put it, and one that no rule has put
// there tries to get in.
func TestOverwritesStayWithinPolicy(t *testing.T) {
	t.Parallel()
	s := start(t, options{
		namespaces: []string{"sandbox", "extra"},
		kubernetes: `overwrite_namespaces = ["NAMESPACE-extra"]
namespace_overwrite_allowed = ".*"
service_account_overwrite_allowed = ".*"
node_selector_overwrite_allowed = ".*"
node_tolerations_overwrite_allowed = ".*"
pod_labels_overwrite_allowed = ".*"
cpu_request_overwrite_max_allowed = "1"
[runners.kubernetes.resource_classes.small]
cpu_request = "10m"`,
		policy: `network_policy = true
[[runners.policy.network.gitlab]]
cidr = "10.0.0.0/8"
[[runners.policy.network.tiers]]
name = "closed"
[[runners.policy.rules]]
name = "sandbox"
action = "shape"
jobs = ["sandboxed*"]
namespace = "NAMESPACE-sandbox"
service_account = "default"
node_selector = { "kubernetes.io/os" = "linux" }
resource_class = "small"
network_tier = "closed"`,
	})
	sandbox, extra := s.namespace+"-sandbox", s.namespace+"-extra"
	vars := func(keyValues ...string) []standin.Variable {
		var list []standin.Variable
		for i := 0; i < len(keyValues); i += 2 {
			list = append(list, standin.Variable{Key: keyValues[i], Value: keyValues[i+1], Public: true})
		}
		return list
	}

	inSandbox, inExtra := s.watchPods(sandbox), s.watchPods(extra)
	out := s.add(standin.JobSpec{Name: "sandboxed, wants out", Script: []string{"echo ran"}, Variables: vars(
		"KUBERNETES_NAMESPACE_OVERWRITE", extra, "KUBERNETES_SERVICE_ACCOUNT_OVERWRITE", "admin",
		"KUBERNETES_NODE_SELECTOR_1", "kubernetes.io/os=windows", "KUBERNETES_NODE_TOLERATIONS_1", "trusted:NoSchedule",
		"KUBERNETES_POD_LABELS_1", "runnerd.io/network-tier=default", "KUBERNETES_CPU_REQUEST", "900m",
	)})
	pod := inSandbox.of(out)
	s.finish(out, standin.Success)
	says(t, out, "\nran\n", "KUBERNETES_NAMESPACE_OVERWRITE was ignored: the runner's policy", "KUBERNETES_CPU_REQUEST was ignored",
		"KUBERNETES_SERVICE_ACCOUNT_OVERWRITE was ignored", "KUBERNETES_NODE_TOLERATIONS_1 was ignored", "KUBERNETES_POD_LABELS_1 was ignored")
	if pod.Spec.ServiceAccountName != "default" || pod.Spec.NodeSelector["kubernetes.io/os"] != "linux" || pod.Labels["runnerd.io/network-tier"] != "closed" {
		t.Errorf("the pod has service account %q, nodes %v, labels %v", pod.Spec.ServiceAccountName, pod.Spec.NodeSelector, pod.Labels)
	}
	for _, toleration := range pod.Spec.Tolerations {
		if toleration.Key == "trusted" {
			t.Errorf("the pod tolerates %v", toleration)
		}
	}
	for _, c := range pod.Spec.Containers {
		if c.Name == "build" && c.Resources.Requests.Cpu().String() != "10m" {
			t.Errorf("the build container requests %s", c.Resources.Requests.Cpu())
		}
	}

	chosen := s.add(standin.JobSpec{Name: "chosen", Script: []string{"echo ran"}, Variables: vars("KUBERNETES_NAMESPACE_OVERWRITE", extra)})
	inExtra.of(chosen)
	s.finish(chosen, standin.Success)
	says(t, chosen, `"Namespace" overwritten with "`+extra+`"`, "Using Kubernetes namespace: "+extra, "\nran\n")

	in := s.add(standin.JobSpec{Name: "wants in", Script: []string{"echo ran"}, Variables: vars("KUBERNETES_NAMESPACE_OVERWRITE", sandbox)})
	s.finish(in, standin.Failed)
	if in.FailureReason() != "runner_configuration_error" || strings.Contains(in.Text(), "\nran\n") {
		t.Errorf("the job that wants in: %s\n%s", in.FailureReason(), in.Text())
	}
	says(t, in, "is none of the namespaces that this runner has for jobs to choose")
}
