package kubernetes

import (
	"fmt"
	"maps"
	"path"
	"strconv"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/runnerd/runnerd/pkg/job"
)

// Labels by which runnerd finds its pods, and annotations through which it
// talks to them.
const (
	labelManager = "runnerd.io/manager"      // system ID of the runner manager
	labelRunner  = "runnerd.io/runner"       // short token of the runner entry
	labelJob     = "runnerd.io/job"          // job ID
	labelTier    = "runnerd.io/network-tier" // by which NetworkPolicies choose pods

	labelRecord       = "runnerd.io/record"  // "true" on a Secret that is a job's record
	annotationStarted = "runnerd.io/started" // on a record: the pod that has been made and let through
	annotationSigned  = "runnerd.io/signed"  // on a record: changes when its manager makes sure that it is its own

	annotationSignal = "runnerd.io/signal"     // a file in the helper: "cancel" or "stop"
	annotationGo     = "runnerd.io/go"         // a file in the helper: a job that is held may begin
	annotationKeep   = "runnerd.io/keep-until" // until when a failed job's pod stays (RFC 3339)
	annotationResend = "runnerd.io/resend"     // a file in the helper: the first frame to write again
)

// selector finds the pods and Secrets of one runner entry of one manager.
func selector(id Identity) string {
	return labels.Set{labelManager: labelValue(id.SystemID), labelRunner: labelValue(id.ShortToken)}.String()
}

// sharedSelector finds those of all its managers.
func sharedSelector(id Identity) string {
	return labels.Set{labelRunner: labelValue(id.ShortToken)}.String()
}

// metadata returns name, labels and annotations of a job's pod. The keys are
// those of GitLab Runner, which dashboards and policies rely on. Variables in the
// operator's values are expanded when everybody may see them.
func (e *Executor) metadata(plan *job.Plan, w *wishes, name string) metav1.ObjectMeta {
	meta := metav1.ObjectMeta{
		Name: name, Namespace: e.namespace(plan),
		Labels: map[string]string{}, Annotations: map[string]string{},
	}
	expand := func(value string) string { return job.Expand(value, plan.Environment, plan.Helper.TempDir) }
	for key, value := range e.cfg.PodLabels {
		if !reserved(key) {
			meta.Labels[key] = labelValue(expand(value))
		}
	}
	if e.cfg.DoNotDisrupt {
		maps.Copy(meta.Annotations, doNotDisrupt)
	}
	for key, value := range e.cfg.PodAnnotations {
		meta.Annotations[key] = expand(value)
	}
	for key, value := range w.labels {
		meta.Labels[key] = labelValue(value)
	}
	maps.Copy(meta.Annotations, w.annotations)
	maps.Copy(meta.Labels, e.ownLabels(plan))
	if tier := plan.Placement.NetworkTier; tier != "" {
		meta.Labels[labelTier] = tier
	}
	for key, value := range map[string]string{
		"pod":                       name,
		"job.runner.gitlab.com/pod": name,

		"project.runner.gitlab.com/id":                strconv.FormatInt(plan.ProjectID, 10),
		"project.runner.gitlab.com/name":              path.Base(plan.ProjectPath),
		"project.runner.gitlab.com/namespace":         plan.Namespace.Path,
		"project.runner.gitlab.com/namespace-id":      number(plan.Namespace.ID),
		"project.runner.gitlab.com/root-namespace":    plan.Namespace.Root,
		"project.runner.gitlab.com/root-namespace-id": number(plan.Namespace.RootID),

		"manager.runner.gitlab.com/name":     e.id.RunnerName,
		"manager.runner.gitlab.com/id-short": e.id.ShortToken,
	} {
		meta.Labels[key] = labelValue(value)
	}
	maps.Copy(meta.Annotations, jobAnnotations(plan))
	return meta
}

// doNotDisrupt is how the autoscalers of nodes are told to leave a pod where it is.
var doNotDisrupt = map[string]string{
	"cluster-autoscaler.kubernetes.io/safe-to-evict": "false",
	"karpenter.sh/do-not-disrupt":                    "true",
}

// jobAnnotations tell people which job an object is for.
func jobAnnotations(plan *job.Plan) map[string]string {
	return map[string]string{
		"job.runner.gitlab.com/id":         strconv.FormatInt(plan.JobID, 10),
		"job.runner.gitlab.com/url":        plan.JobURL,
		"job.runner.gitlab.com/sha":        plan.SHA,
		"job.runner.gitlab.com/before_sha": plan.BeforeSHA,
		"job.runner.gitlab.com/ref":        plan.Ref,
		"job.runner.gitlab.com/name":       plan.JobName,
		"job.runner.gitlab.com/timeout":    plan.Timeout.String(),
		"project.runner.gitlab.com/id":     strconv.FormatInt(plan.ProjectID, 10),
	}
}

// ownLabels are the labels of the pod, of its Secrets and of Events about it.
func (e *Executor) ownLabels(plan *job.Plan) map[string]string {
	return map[string]string{
		labelManager: labelValue(e.id.SystemID),
		labelRunner:  labelValue(e.id.ShortToken),
		labelJob:     strconv.FormatInt(plan.JobID, 10),
	}
}

// reserved reports whether an operator's or a job's label would lie about the job.
func reserved(key string) bool {
	domain, _, ok := strings.Cut(key, "/")
	if !ok {
		return key == "pod"
	}
	for _, own := range []string{"runner.gitlab.com", "runnerd.io"} {
		if domain == own || strings.HasSuffix(domain, "."+own) {
			return true
		}
	}
	return false
}

func number(n int64) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprint(n)
}

// jobOf returns the job that an object belongs to, by its labels.
func jobOf(labels map[string]string) int64 {
	id, err := strconv.ParseInt(labels[labelJob], 10, 64)
	if err != nil {
		return -1
	}
	return id
}
