package kubernetes_test

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"
	corev1 "k8s.io/api/core/v1"

	"github.com/runnerd/runnerd/pkg/executor/kubernetes"
	"github.com/runnerd/runnerd/pkg/job"
)

// lenient is a runner that lets jobs change much of their pods.
func lenient() kubernetes.Config {
	cfg := placing()
	cfg.Permissions = kubernetes.Permissions{
		Patterns: map[string]string{
			"namespace": "^ci", "service_account": "^ci-", "node_selector": "pool=", "node_tolerations": ".*",
			"pod_labels": ".*", "pod_annotations": "=",
		},
		Most: map[string]string{
			"cpu_request": "4", "cpu_limit": "4", "memory_request": "8Gi", "memory_limit": "8Gi",
			"helper_memory_limit": "1Gi", "service_cpu_request": "2", "pod_memory_limit": "16Gi",
		},
		Namespaces: []string{"ci-extra"},
	}
	return cfg
}

// overwrites makes the job's overwrites of setting and value in turn.
func overwrites(settingValues ...string) []job.Overwrite {
	var list []job.Overwrite
	for i := 0; i < len(settingValues); i += 2 {
		setting := settingValues[i]
		list = append(list, job.Overwrite{Key: "KUBERNETES_" + strings.ToUpper(setting), Value: settingValues[i+1], Setting: setting, Service: -1})
	}
	return list
}

func quantity(list corev1.ResourceList, name corev1.ResourceName) string {
	q, ok := list[name]
	if !ok {
		return ""
	}
	return q.String()
}

func TestOverwrites(t *testing.T) {
	tests := []struct {
		name      string
		ask       []job.Overwrite
		placement job.Placement
		read      func(*corev1.Pod) any
		want      any
		notes     []string // lines of the log that begin so
	}{
		{
			name: "amounts of the build container, the others as they were", ask: overwrites("cpu_request", "2", "memory_limit", "4Gi"),
			read: func(p *corev1.Pod) any {
				r := p.Spec.Containers[1].Resources
				return []string{quantity(r.Requests, "cpu"), quantity(r.Requests, "memory"), quantity(r.Limits, "memory")}
			},
			want:  []string{"2", "1Gi", "4Gi"},
			notes: []string{`"CPURequest" overwritten with "2"`, `"MemoryLimit" overwritten with "4Gi"`},
		},
		{
			name: "as much as is allowed, in other words", ask: overwrites("cpu_request", "4000m"),
			read: func(p *corev1.Pod) any { return quantity(p.Spec.Containers[1].Resources.Requests, "cpu") }, want: "4",
		},
		{
			name: "of helper and pod", ask: overwrites("helper_memory_limit", "512Mi", "pod_memory_limit", "16Gi"),
			read: func(p *corev1.Pod) any {
				return []string{quantity(p.Spec.Containers[0].Resources.Limits, "memory"), quantity(p.Spec.Resources.Limits, "memory")}
			},
			want:  []string{"512Mi", "16Gi"},
			notes: []string{`"HelperMemoryLimit" overwritten with "512Mi"`, `"PodMemoryLimit" overwritten`},
		},
		{
			name: "no permission, no overwrite", ask: overwrites("ephemeral_storage_limit", "1Gi", "helper_cpu_request", "64"),
			read: func(p *corev1.Pod) any {
				return []string{quantity(p.Spec.Containers[0].Resources.Requests, "cpu"), quantity(p.Spec.Containers[1].Resources.Limits, "ephemeral-storage")}
			},
			want: []string{"10m", ""}, notes: []string{},
		},
		{
			name: "service account", ask: overwrites("service_account", "ci-deploy"),
			read: func(p *corev1.Pod) any { return p.Spec.ServiceAccountName }, want: "ci-deploy",
			notes: []string{`"ServiceAccount" overwritten with "ci-deploy"`},
		},
		{
			name: "node selector", ask: overwrites("node_selector", "pool=gpu"),
			read: func(p *corev1.Pod) any { return p.Spec.NodeSelector }, want: map[string]string{"pool": "gpu", "arch": "amd64"},
		},
		{
			name: "tolerations", ask: overwrites("node_tolerations", "gpu=a:NoExecute", "node_tolerations", "spot:NoSchedule"),
			read: func(p *corev1.Pod) any { return p.Spec.Tolerations },
			want: []corev1.Toleration{
				{Key: "ci", Operator: "Equal", Value: "true", Effect: "NoSchedule"},
				{Key: "gpu", Operator: "Equal", Value: "a", Effect: "NoExecute"},
				{Key: "spot", Operator: "Exists", Effect: "NoSchedule"},
			},
		},
		{
			name: "labels and annotations", ask: overwrites("pod_labels", "team=a=b", "pod_annotations", "note=x=y"),
			read: func(p *corev1.Pod) any { return []string{p.Labels["team"], p.Annotations["note"]} }, want: []string{"a_b", "x=y"},
		},
		{
			name: "the runner's own labels and annotations", ask: overwrites("pod_labels", "manager.runner.gitlab.com/name=x", "pod_labels", "runnerd.io/network-tier=internet", "pod_labels", "pod=x", "pod_annotations", "runnerd.io/signal=cancel"),
			read: func(p *corev1.Pod) any {
				return []string{p.Labels["runnerd.io/network-tier"], p.Annotations["runnerd.io/signal"]}
			}, want: []string{"", ""},
			notes: []string{"KUBERNETES_POD_LABELS was ignored: keys of", "KUBERNETES_POD_LABELS was ignored", "KUBERNETES_POD_LABELS was ignored", "KUBERNETES_POD_ANNOTATIONS was ignored"},
		},
		{
			name: "a namespace of those to choose from", ask: overwrites("namespace", "ci-extra"),
			read: func(p *corev1.Pod) any { return p.Namespace }, want: "ci-extra",
			notes: []string{`"Namespace" overwritten with "ci-extra"`},
		},
		{
			name: "policy's namespace stays, and with it the service account", ask: overwrites("namespace", "ci-extra", "service_account", "ci-admin"), placement: job.Placement{Namespace: "ci-fork"},
			read: func(p *corev1.Pod) any { return []string{p.Namespace, p.Spec.ServiceAccountName} }, want: []string{"ci-fork", "ci-job"},
			notes: []string{"KUBERNETES_NAMESPACE was ignored: the runner's policy", "KUBERNETES_SERVICE_ACCOUNT was ignored: the runner's policy"},
		},
		{
			name: "what is ignored need not be allowed either", ask: overwrites("service_account", "root"), placement: job.Placement{ServiceAccount: "deploy"},
			read: func(p *corev1.Pod) any { return p.Spec.ServiceAccountName }, want: "deploy",
		},
		{
			name: "policy's nodes stay", ask: overwrites("node_selector", "pool=gpu", "node_tolerations", "gpu:NoExecute"), placement: job.Placement{NodeSelector: map[string]string{"pool": "fork"}},
			read:  func(p *corev1.Pod) any { return []any{p.Spec.NodeSelector["pool"], len(p.Spec.Tolerations)} },
			want:  []any{"fork", 1},
			notes: []string{`"NodeSelector" overwritten`, "KUBERNETES_NODE_TOLERATIONS was ignored: the runner's policy"},
		},
		{
			name: "policy's class stays, other containers do not have one", ask: overwrites("cpu_request", "1", "pod_memory_limit", "1Gi", "helper_memory_limit", "1Gi"), placement: job.Placement{ResourceClass: "large"},
			read: func(p *corev1.Pod) any {
				return []any{quantity(p.Spec.Containers[1].Resources.Requests, "cpu"), p.Spec.Resources == nil, quantity(p.Spec.Containers[0].Resources.Limits, "memory")}
			},
			want: []any{"8", true, "1Gi"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCluster(t)
				plan := simplePlan()
				plan.Overwrites, plan.Placement = tt.ask, tt.placement
				switch {
				case tt.placement.Namespace != "":
					c.namespace = tt.placement.Namespace
				case tt.ask[0].Setting == "namespace":
					c.namespace = tt.ask[0].Value
				}
				r := start(t, c, lenient(), plan)
				if diff := cmp.Diff(tt.want, tt.read(r.pod())); diff != "" {
					t.Errorf("pod (-want +got):\n%s", diff)
				}
				var notes []string
				for line := range strings.Lines(r.notes.String()) {
					if strings.Contains(line, "overwritten") || strings.Contains(line, "ignored") {
						notes = append(notes, line)
					}
				}
				if tt.notes == nil {
					return
				}
				if len(notes) != len(tt.notes) {
					t.Fatalf("the log says %q, want %q", notes, tt.notes)
				}
				for i, want := range tt.notes {
					if !strings.HasPrefix(notes[i], want) {
						t.Errorf("the log says %q, want %q", notes[i], want)
					}
				}
			})
		})
	}
}

func TestServiceOverwritesItsOwnAmounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		plan := simplePlan()
		plan.Services = []job.Service{{Image: job.Image{Name: "postgres:16"}}, {Image: job.Image{Name: "redis:7"}}}
		plan.Overwrites = overwrites("service_cpu_request", "1")
		own := overwrites("service_cpu_request", "2")[0]
		own.Service = 1
		plan.Overwrites = append(plan.Overwrites, own)
		spec := start(t, newCluster(t), lenient(), plan).pod().Spec
		got := []string{quantity(spec.Containers[1].Resources.Requests, "cpu"), quantity(spec.Containers[2].Resources.Requests, "cpu")}
		if diff := cmp.Diff([]string{"1", "2"}, got); diff != "" {
			t.Errorf("cpu requests (-want +got):\n%s", diff)
		}
	})
}

func TestOverwritesThatAreNotAllowed(t *testing.T) {
	for _, tt := range []struct{ setting, value, want string }{
		{"cpu_request", "5", `KUBERNETES_CPU_REQUEST="5" is not allowed here: the most is 4 (cpu_request_overwrite_max_allowed)`},
		{"cpu_request", "two", `KUBERNETES_CPU_REQUEST="two" is no quantity`},
		{"cpu_request", "-1", `is no quantity`},
		{"memory_request", "3Gi", `a request of 3Gi memory (memory_request) and a limit of 2Gi`},
		{"service_account", "root", `KUBERNETES_SERVICE_ACCOUNT="root" is not allowed here: it does not match "^ci-" (service_account_overwrite_allowed)`},
		{"namespace", "kube-system", `does not match "^ci" (namespace_overwrite_allowed)`},
		{"namespace", "ci-release", `none of the namespaces that this runner has for jobs to choose ("ci", "ci-extra")`},
		{"node_selector", "zone=a", `does not match "pool="`},
		{"node_selector", "=pool=", `write it as key=value`},
		{"pod_labels", "team", `write it as key=value`},
		{"node_tolerations", ":NoExecute", `write it as key=value:effect`},
		{"node_tolerations", "a=b:Never", `unknown effect "Never"`},
	} {
		t.Run(tt.setting+" "+tt.value, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				plan := simplePlan()
				plan.Overwrites = overwrites(tt.setting, tt.value)
				r := start(t, newCluster(t), lenient(), plan)
				r.wait()
				failure, ok := errors.AsType[*job.Failure](r.err)
				if !ok || failure.Reason != job.RunnerConfigurationError || !strings.Contains(failure.Message, tt.want) {
					t.Errorf("Run = %v, want %s in it", r.err, tt.want)
				}
				for _, action := range r.Actions() {
					if action.GetVerb() == "create" {
						t.Errorf("created %s", action.GetResource().Resource)
					}
				}
			})
		})
	}
}

func TestPermissionsAreChecked(t *testing.T) {
	for name, p := range map[string]kubernetes.Permissions{
		`pod_labels_overwrite_allowed`:      {Patterns: map[string]string{"pod_labels": "("}},
		`cpu_limit_overwrite_max_allowed`:   {Most: map[string]string{"cpu_limit": "much"}},
		`overwrite_namespaces: "no/domain"`: {Namespaces: []string{"no/domain"}},
	} {
		cfg := placing()
		cfg.HelperImage, cfg.Permissions = "helper", p
		if _, err := kubernetes.New(kubernetes.Client{}, kubernetes.Identity{SystemID: "s_1"}, cfg, zap.NewNop()); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("New: %v, want %s in it", err, name)
		}
	}
}
