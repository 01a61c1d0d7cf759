package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/runnerd/runnerd/pkg/executor"
	"github.com/runnerd/runnerd/pkg/job"
)

const (
	// quotaEvery is how often the namespace's quotas are read, at most.
	quotaEvery = 2 * time.Second
	// quotaRare is how often it is looked whether there are any.
	quotaRare = time.Minute
	// quotaTimeout bounds one reading.
	quotaTimeout = 5 * time.Second
)

// quotas are the ResourceQuotas of a namespace, as last read.
type quotas struct {
	api       kubernetes.Interface
	namespace string
	log       *zap.Logger

	mu     sync.Mutex
	pod    *corev1.Pod // of the usual shape
	list   []corev1.ResourceQuota
	read   time.Time // before the list was read
	next   time.Time // when to read again
	failed bool      // the last reading did
	off    bool      // runnerd may not read them
}

// get returns the quotas and the time as of which they are. What cannot be read
// leaves room: the API server has the last word.
func (q *quotas) get(ctx context.Context) ([]corev1.ResourceQuota, time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	now := time.Now()
	if q.off || now.Before(q.next) {
		return q.list, q.read
	}
	ctx, cancel := context.WithTimeout(ctx, quotaTimeout)
	defer cancel()
	found, err := q.api.CoreV1().ResourceQuotas(q.namespace).List(ctx, metav1.ListOptions{})
	switch {
	case apierrors.IsForbidden(err):
		q.off, q.list = true, nil
		q.log.Warn("jobs are taken whatever the namespace's quota says: runnerd may not list resourcequotas there", zap.String("namespace", q.namespace))
	case err != nil:
		if !q.failed && ctx.Err() == nil {
			q.log.Warn("quotas cannot be read; taking jobs nevertheless", zap.String("namespace", q.namespace), zap.Error(err))
		}
		// From now, not from before: a cluster that does not answer is not asked at
		// each request for a job.
		q.list, q.next, q.failed = nil, time.Now().Add(quotaEvery), true
	default:
		q.list, q.read, q.next, q.failed = found.Items, now, now.Add(quotaEvery), false
		if len(q.list) == 0 {
			q.next = now.Add(quotaRare)
		}
	}
	return q.list, q.read
}

// stale has the quotas read again at the next question.
func (q *quotas) stale() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.next = time.Time{}
}

// learn takes a pod of the usual shape as the cluster has made it: with the
// defaults of a LimitRange, and what webhooks add.
func (q *quotas) learn(pod *corev1.Pod) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.pod = pod
}

// size is a pod of the usual shape.
func (q *quotas) size() *corev1.Pod {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.pod
}

// lacking says what a quota lacks for one more pod beside those that are coming; ""
// when there is room.
func lacking(quota *corev1.ResourceQuota, pod *corev1.Pod, coming int) string {
	if !inScope(quota, pod) {
		return ""
	}
	need := usage(pod)
	for _, name := range slices.Sorted(maps.Keys(quota.Status.Hard)) {
		one, counts := need[name]
		if !counts || one.IsZero() {
			continue
		}
		hard, used := quota.Status.Hard[name], quota.Status.Used[name]
		wanted := used.DeepCopy()
		wanted.Add(*times(one, coming+1))
		if wanted.Cmp(hard) <= 0 {
			continue
		}
		also := ""
		if coming > 0 {
			also = fmt.Sprintf(", and %d on the way", coming)
		}
		return fmt.Sprintf("quota %q of namespace %q has no room for another pod: %s: %s of %s used%s, a pod takes %s",
			quota.Name, quota.Namespace, name, used.String(), hard.String(), also, one.String())
	}
	return ""
}

func times(q resource.Quantity, n int) *resource.Quantity {
	product := q.DeepCopy()
	product.Mul(int64(n))
	return &product
}

// inScope reports whether a quota counts a pod.
func inScope(quota *corev1.ResourceQuota, pod *corev1.Pod) bool {
	var terms []corev1.ScopedResourceSelectorRequirement
	for _, scope := range quota.Spec.Scopes {
		terms = append(terms, corev1.ScopedResourceSelectorRequirement{ScopeName: scope, Operator: corev1.ScopeSelectorOpExists})
	}
	if quota.Spec.ScopeSelector != nil {
		terms = append(terms, quota.Spec.ScopeSelector.MatchExpressions...)
	}
	return !slices.ContainsFunc(terms, func(t corev1.ScopedResourceSelectorRequirement) bool { return !selects(t, pod) })
}

func selects(t corev1.ScopedResourceSelectorRequirement, pod *corev1.Pod) bool {
	requests, limits := amountsOf(pod)
	bestEffort := len(requests)+len(limits) == 0
	class := pod.Spec.PriorityClassName
	switch t.ScopeName {
	case corev1.ResourceQuotaScopeTerminating:
		return pod.Spec.ActiveDeadlineSeconds != nil
	case corev1.ResourceQuotaScopeNotTerminating:
		return pod.Spec.ActiveDeadlineSeconds == nil
	case corev1.ResourceQuotaScopeBestEffort:
		return bestEffort
	case corev1.ResourceQuotaScopeNotBestEffort:
		return !bestEffort
	case corev1.ResourceQuotaScopePriorityClass:
		switch t.Operator {
		case corev1.ScopeSelectorOpIn:
			return slices.Contains(t.Values, class)
		case corev1.ScopeSelectorOpNotIn:
			return !slices.Contains(t.Values, class)
		case corev1.ScopeSelectorOpDoesNotExist:
			return class == ""
		}
		return class != ""
	}
	return false // of pods that are not the usual ones
}

// secretsOfJob are those of a usual job: its pod's and its record.
const secretsOfJob = 2

// usage is what a pod takes of a quota, by the names that quotas use.
func usage(pod *corev1.Pod) corev1.ResourceList {
	secrets := *resource.NewQuantity(secretsOfJob, resource.DecimalSI)
	list := corev1.ResourceList{
		"pods": resource.MustParse("1"), "count/pods": resource.MustParse("1"), "secrets": secrets, "count/secrets": secrets,
	}
	requests, limits := amountsOf(pod)
	for name, amount := range requests {
		list["requests."+name] = amount
		switch name {
		case corev1.ResourceCPU, corev1.ResourceMemory, corev1.ResourceEphemeralStorage:
			list[name] = amount
		}
	}
	for name, amount := range limits {
		list["limits."+name] = amount
	}
	return list
}

// amountsOf adds up what a pod's containers ask for and get at most. What stands at
// the pod itself counts instead, and a limit is a request where none is made.
func amountsOf(pod *corev1.Pod) (requests, limits corev1.ResourceList) {
	requests, limits = corev1.ResourceList{}, corev1.ResourceList{}
	containers := slices.Clone(pod.Spec.Containers)
	for _, c := range pod.Spec.InitContainers {
		if c.RestartPolicy != nil && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways {
			containers = append(containers, c) // it runs beside the others
		}
	}
	for _, c := range containers {
		add(requests, overlaid(c.Resources.Limits, c.Resources.Requests))
		add(limits, c.Resources.Limits)
	}
	if whole := pod.Spec.Resources; whole != nil {
		maps.Copy(requests, overlaid(whole.Limits, whole.Requests))
		maps.Copy(limits, whole.Limits)
	}
	add(requests, pod.Spec.Overhead)
	return requests, limits
}

func add(to, more corev1.ResourceList) {
	for name, amount := range more {
		sum := to[name]
		sum.Add(amount)
		to[name] = sum
	}
}

// usualPod is a pod as the config shapes it, before the cluster has made one.
func usualPod(s *settings) *corev1.Pod {
	deadline := int64(1)
	pod := &corev1.Pod{Spec: corev1.PodSpec{
		ActiveDeadlineSeconds: &deadline, PriorityClassName: s.PriorityClassName,
		Containers: []corev1.Container{{Name: containerHelper, Resources: s.helper}, {Name: containerBuild, Resources: s.build}},
	}}
	if len(s.pod.Requests)+len(s.pod.Limits) > 0 {
		pod.Spec.Resources = s.pod.DeepCopy()
	}
	requestLittle(&pod.Spec)
	return pod
}

// unplaced marks a failure for which the quota is the cause.
func unplaced(err, failed error) error {
	if failure, ok := errors.AsType[*job.Failure](failed); ok && overQuota(err) {
		return &executor.UnplacedError{For: executor.FullQuota, Failure: failure}
	}
	return failed
}

// quotaWait is what a refusal for the quota says, without what changes all the time:
// how much is used. "" when the error is none.
func quotaWait(err error) string {
	if !overQuota(err) {
		return ""
	}
	_, text, _ := strings.Cut(tidy(err.Error()), "exceeded quota: ")
	before, rest, _ := strings.Cut("exceeded quota: "+text, ", used: ")
	if _, limited, ok := strings.Cut(rest, ", limited: "); ok {
		return before + ", limited: " + limited
	}
	return before
}
