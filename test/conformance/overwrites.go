package conformance

import (
	"fmt"
	"strings"

	"github.com/runnerd/runnerd/internal/standin"
)

// podHolds is a job whose pod has these parts in its JSON.
func podHolds(parts ...string) func(*World, *standin.Job) error {
	return func(w *World, j *standin.Job) error {
		pod, err := w.Pod(j)
		for _, part := range parts {
			if err == nil && !strings.Contains(pod.JSON, part) {
				err = fmt.Errorf("the pod does not hold %s", part)
			}
		}
		return err
	}
}

// podLacks is a job whose pod has no such part in its JSON.
func podLacks(part string) func(*World, *standin.Job) error {
	return func(w *World, j *standin.Job) error {
		pod, err := w.Pod(j)
		if err == nil && strings.Contains(pod.JSON, part) {
			err = fmt.Errorf("the pod holds %s", part)
		}
		return err
	}
}

var overwrites = []Row{
	{
		Name: "overwrite-amounts", Spec: "9.5", On: ClusterOnly, Site: "lenient",
		Behaviour: "KUBERNETES_CPU_REQUEST and its kin change the build container, KUBERNETES_HELPER_… the helper; the log says so.",
		Job:       with(vars("KUBERNETES_CPU_REQUEST", "30m", "KUBERNETES_MEMORY_LIMIT", "111Mi", "KUBERNETES_HELPER_MEMORY_LIMIT", "222Mi"), "echo done"),
		Want: Want{
			Lines: []string{`"CPURequest" overwritten with "30m"`, `"HelperMemoryLimit" overwritten with "222Mi"`, `"MemoryLimit" overwritten with "111Mi"`, "done"},
			Check: podHolds(`"cpu":"30m"`, `"memory":"111Mi"`, `"memory":"222Mi"`),
		},
	},
	{
		Name: "overwrite-expanded", Spec: "9.5", On: ClusterOnly, Site: "lenient",
		Behaviour: "Variables in an overwrite's value are expanded.",
		Job:       with(vars("SIZE", "31", "KUBERNETES_CPU_REQUEST", "${SIZE}m"), "echo done"),
		Want:      Want{Lines: []string{`"CPURequest" overwritten with "31m"`, "done"}, Check: podHolds(`"cpu":"31m"`)},
	},
	{
		Name: "overwrite-too-much", Spec: "9.5", On: ClusterOnly, Site: "lenient",
		Behaviour: "An amount above its maximum is a configuration error that names both.",
		Job:       standin.JobSpec{Variables: vars("KUBERNETES_CPU_REQUEST", "2")},
		Want:      refused("runner_configuration_error", `KUBERNETES_CPU_REQUEST="2" is not allowed here: the most is 100m (cpu_request_overwrite_max_allowed)`),
	},
	{
		Name: "overwrite-above-limit", Spec: "9.5", On: ClusterOnly, Site: "lenient",
		Behaviour: "A request that comes to be above its limit is a configuration error that says so.",
		Job:       standin.JobSpec{Variables: vars("KUBERNETES_MEMORY_REQUEST", "90Mi", "KUBERNETES_MEMORY_LIMIT", "80Mi")},
		Want:      refused("runner_configuration_error", "a request of 90Mi memory (memory_request) and a limit of 80Mi"),
	},
	{
		Name: "overwrite-not-permitted", Spec: "9.5", On: ClusterOnly, Site: "lenient",
		Behaviour: "An overwrite without a permission in the config is ignored.",
		Job:       with(vars("KUBERNETES_CPU_LIMIT", "9876m", "KUBERNETES_NAMESPACE_OVERWRITE", "kube-system"), "echo done"),
		Want:      Want{Lines: []string{"done"}, Lacks: []string{"overwritten"}, Check: podLacks(`"cpu":"9876m"`)},
	},
	{
		Name: "overwrite-service", Spec: "9.5", On: ClusterOnly, Site: "lenient",
		Behaviour: "KUBERNETES_SERVICE_… change all services, and a service's own variables its own container.",
		Job: standin.JobSpec{
			Variables: vars("KUBERNETES_SERVICE_CPU_REQUEST", "32m"),
			Services: []standin.Service{
				{Alias: "one", Command: []string{"sleep", "600"}},
				{Alias: "two", Command: []string{"sleep", "600"}, Variables: vars("KUBERNETES_SERVICE_CPU_REQUEST", "33m")},
			},
			Script: []string{"echo done"},
		},
		Want: Want{Lines: []string{`"ServiceCPURequest" overwritten with "32m"`, `"ServiceCPURequest" overwritten with "33m"`, "done"}, Check: podHolds(`"cpu":"32m"`, `"cpu":"33m"`)},
	},
	{
		Name: "overwrite-nodes", Spec: "9.5", On: ClusterOnly, Site: "lenient",
		Behaviour: "KUBERNETES_NODE_SELECTOR_… and KUBERNETES_NODE_TOLERATIONS_… add to the config's.",
		Job:       with(vars("KUBERNETES_NODE_SELECTOR_OS", "kubernetes.io/os=linux", "KUBERNETES_NODE_TOLERATIONS_1", "pool=spot:NoSchedule"), "echo done"),
		Want: Want{
			Lines: []string{`"NodeSelector" overwritten with "kubernetes.io/os=linux"`, `"NodeTolerations" overwritten with "pool=spot:NoSchedule"`, "done"},
			Check: podHolds(`"kubernetes.io/os":"linux"`, `{"key":"pool","operator":"Equal","value":"spot","effect":"NoSchedule"}`),
		},
	},
	{
		Name: "overwrite-labels", Spec: "9.5", On: ClusterOnly, Site: "lenient",
		Behaviour: "KUBERNETES_POD_LABELS_… and KUBERNETES_POD_ANNOTATIONS_… add to the pod's, except the runner's own.",
		Job: with(vars("KUBERNETES_POD_LABELS_1", "team=web", "KUBERNETES_POD_LABELS_2", "project.runner.gitlab.com/id=1",
			"KUBERNETES_POD_ANNOTATIONS_1", "note=a=b", "KUBERNETES_POD_ANNOTATIONS_2", "runnerd.io/signal=cancel"), "echo done"),
		Want: Want{
			Lines: []string{"done"},
			Says:  []string{"KUBERNETES_POD_LABELS_2 was ignored", "KUBERNETES_POD_ANNOTATIONS_2 was ignored"},
			Check: func(w *World, j *standin.Job) error {
				pod, err := w.Pod(j)
				if err == nil && (pod.Labels["team"] != "web" || pod.Annotations["note"] != "a=b" || pod.Labels["project.runner.gitlab.com/id"] != fmt.Sprint(j.ProjectID())) {
					err = fmt.Errorf("the pod has the labels %q and annotations %q", pod.Labels, pod.Annotations)
				}
				return err
			},
		},
	},
	{
		Name: "overwrite-mismatch", Spec: "9.5", On: ClusterOnly, Site: "lenient",
		Behaviour: "A value that the config's regular expression does not match is a configuration error that names it.",
		Job:       standin.JobSpec{Variables: vars("KUBERNETES_SERVICE_ACCOUNT_OVERWRITE", "cluster-admin")},
		Want:      refused("runner_configuration_error", `KUBERNETES_SERVICE_ACCOUNT_OVERWRITE="cluster-admin" is not allowed here: it does not match "^default$"`),
	},
	{
		Name: "overwrite-service-account", Spec: "9.5", On: ClusterOnly, Site: "lenient",
		Behaviour: "KUBERNETES_SERVICE_ACCOUNT_OVERWRITE chooses the pod's service account.",
		Job:       with(vars("KUBERNETES_SERVICE_ACCOUNT_OVERWRITE", "default"), "echo done"),
		Want:      Want{Lines: []string{`"ServiceAccount" overwritten with "default"`, "done"}, Check: podHolds(`"serviceAccountName":"default"`)},
	},
	{
		Name: "overwrite-bearer-token", Spec: "9.5",
		Behaviour: "KUBERNETES_BEARER_TOKEN is refused with a warning: no job chooses the credentials that pods are made with.",
		Job:       with(vars("KUBERNETES_BEARER_TOKEN", "of-somebody-else"), "echo done"),
		Want:      Want{Lines: []string{"done"}, Says: []string{"KUBERNETES_BEARER_TOKEN is not honoured"}},
	},
}
