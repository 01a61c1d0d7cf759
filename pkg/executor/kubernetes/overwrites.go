package kubernetes

import (
	"fmt"
	"strings"

	"go.uber.org/zap"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/runnerd/runnerd/pkg/job"
)

// Settings that a job's variables may replace or add to, beside quantities.
const (
	settingNamespace       = "namespace"
	settingServiceAccount  = "service_account"
	settingNodeSelector    = "node_selector"
	settingNodeTolerations = "node_tolerations"
	settingPodLabels       = "pod_labels"
	settingPodAnnotations  = "pod_annotations"
)

// wishes are what a job changes about its pod by its variables: what the
// operator permits, and policy has not settled.
type wishes struct {
	serviceAccount                    string
	nodeSelector, labels, annotations map[string]string
	tolerations                       map[string]string // "key=value" → effect
	amounts                           amounts
	services                          map[int]amounts // a service's own

	notes []string // for the job's log: what was overwritten
}

// amounts are quantities by their key in [runners.kubernetes].
type amounts map[string]resource.Quantity

// wishes reads a job's overwrites. It is the one place that compares them with
// what is permitted, and with the Placement, which no variable gets around. Its
// error, a *job.Failure, ends the job before anything is made for it.
func (e *Executor) wishes(plan *job.Plan) (*wishes, error) {
	w := &wishes{
		nodeSelector: map[string]string{}, labels: map[string]string{}, annotations: map[string]string{},
		tolerations: map[string]string{}, amounts: amounts{}, services: map[int]amounts{},
	}
	for _, o := range plan.Overwrites {
		permitted, err := e.cfg.permissions.permit(o)
		switch {
		case !permitted:
			e.log.Debug("overwrite is not permitted and was ignored", zap.Int64("job", plan.JobID), zap.String("variable", o.Key))
		case settled(plan.Placement, o.Setting):
			w.notes = append(w.notes, o.Key+" was ignored: the runner's policy says where and how this job runs")
		case err == nil && isReserved(o):
			w.notes = append(w.notes, o.Key+" was ignored: keys of runner.gitlab.com and runnerd.io are the runner's own")
		case err != nil:
			return nil, err
		default:
			if err := w.take(o); err != nil {
				return nil, err
			}
			w.notes = append(w.notes, fmt.Sprintf("%q overwritten with %q", label(o.Setting), o.Value))
		}
	}
	return w, nil
}

// settled reports whether a Placement leaves no room to overwrite a setting.
func settled(p job.Placement, setting string) bool {
	switch setting {
	case settingNamespace:
		return p.Namespace != ""
	case settingServiceAccount:
		// The permission is given for accounts of the runner's own namespaces; those
		// of a rule's namespace have other rights.
		return p.ServiceAccount != "" || p.Namespace != ""
	case settingNodeTolerations:
		return len(p.NodeTolerations)+len(p.NodeSelector) > 0
	case settingNodeSelector, settingPodLabels, settingPodAnnotations:
		return false // the Placement's own keys are put over the job's
	}
	class := p.ResourceClass != "" // amounts of the build container, and of the pod around it
	return class && !strings.HasPrefix(setting, helperPrefix) && !strings.HasPrefix(setting, servicePrefix)
}

// isReserved reports whether a label or an annotation would lie about the job,
// or tell the pod what only the daemon may.
func isReserved(o job.Overwrite) bool {
	key, _, _ := strings.Cut(o.Value, "=")
	switch o.Setting {
	case settingPodLabels:
		return reserved(key)
	case settingPodAnnotations:
		return strings.HasPrefix(key, "runnerd.io/") || strings.Contains(key, ".runnerd.io/")
	}
	return false
}

// take notes what a permitted overwrite asks for.
func (w *wishes) take(o job.Overwrite) error {
	switch o.Setting {
	case settingNamespace: // see wishedNamespace, which Remove asks as well
	case settingServiceAccount:
		w.serviceAccount = o.Value
	case settingNodeSelector:
		return pair(o, w.nodeSelector)
	case settingPodLabels:
		return pair(o, w.labels)
	case settingPodAnnotations:
		return pair(o, w.annotations)
	case settingNodeTolerations:
		entry, effect, _ := strings.Cut(o.Value, ":")
		if key, _, _ := strings.Cut(entry, "="); key == "" {
			return job.Failf(job.RunnerConfigurationError, "%s=%q: write it as key=value:effect", o.Key, o.Value)
		}
		if _, err := tolerations(map[string]string{entry: effect}); err != nil {
			return job.Failf(job.RunnerConfigurationError, "%s=%q: %v", o.Key, o.Value, err)
		}
		w.tolerations[entry] = effect
	default:
		into := w.amounts
		if o.Service >= 0 {
			into = w.services[o.Service]
			if into == nil {
				into = amounts{}
				w.services[o.Service] = into
			}
		}
		into[o.Setting] = resource.MustParse(o.Value) // permitted, so it is a quantity
	}
	return nil
}

func pair(o job.Overwrite, into map[string]string) error {
	key, value, ok := strings.Cut(o.Value, "=")
	if !ok || key == "" {
		return job.Failf(job.RunnerConfigurationError, "%s=%q: write it as key=value", o.Key, o.Value)
	}
	into[key] = value
	return nil
}

// label is what GitLab Runner's log calls a setting: cpu_request is CPURequest.
func label(setting string) string {
	var b strings.Builder
	for word := range strings.SplitSeq(setting, "_") {
		if word == "cpu" {
			b.WriteString("CPU")
			continue
		}
		b.WriteString(strings.ToUpper(word[:1]) + word[1:])
	}
	return b.String()
}

// over returns base with the amounts whose keys begin with prefix in its place.
// The error, a *job.Failure, says that a request came to be above its limit: the
// API server would refuse the pod, in words of its own.
func over(base corev1.ResourceRequirements, prefix string, wished ...amounts) (corev1.ResourceRequirements, error) {
	changed := false
	for _, list := range wished {
		for _, q := range quantities {
			amount, ok := list[prefix+q.key]
			if !ok {
				continue
			}
			changed = true
			one := corev1.ResourceList{q.name: amount}
			if q.limit {
				base.Limits = overlaid(base.Limits, one)
			} else {
				base.Requests = overlaid(base.Requests, one)
			}
		}
	}
	if name, request, limit := exceeding(base); changed && name != "" {
		return base, job.Failf(job.RunnerConfigurationError,
			"the job's variables and the runner's config come to a request of %s %s (%s) and a limit of %s; change both",
			request.String(), name, prefix+strings.ReplaceAll(string(name), "-", "_")+"_request", limit.String())
	}
	return base, nil
}

// wishedNamespace is the one that a job may choose and has chosen, or "".
func (e *Executor) wishedNamespace(plan *job.Plan) string {
	for _, o := range plan.Overwrites {
		if o.Setting != settingNamespace {
			continue
		}
		if ok, err := e.cfg.permissions.permit(o); ok && err == nil {
			return o.Value
		}
	}
	return ""
}
