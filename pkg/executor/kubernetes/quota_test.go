package kubernetes

import (
	"errors"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// list makes a resource list of names and quantities, one after the other.
func list(pairs ...string) corev1.ResourceList {
	out := corev1.ResourceList{}
	for i := 0; i < len(pairs); i += 2 {
		out[corev1.ResourceName(pairs[i])] = resource.MustParse(pairs[i+1])
	}
	return out
}

func TestLacking(t *testing.T) {
	// The helper asks for 100m, the build for 400m and, as a limit, 1Gi.
	pod := usualPod(&settings{
		helper: corev1.ResourceRequirements{Requests: list("cpu", "100m")},
		build:  corev1.ResourceRequirements{Requests: list("cpu", "400m"), Limits: list("memory", "1Gi")},
	})
	whole := pod.DeepCopy()
	whole.Spec.Resources = &corev1.ResourceRequirements{Requests: list("cpu", "2")}
	plain := &corev1.Pod{Spec: corev1.PodSpec{ActiveDeadlineSeconds: pod.Spec.ActiveDeadlineSeconds, Containers: []corev1.Container{{Name: containerBuild}}}}
	always := corev1.ContainerRestartPolicyAlways
	mesh := pod.DeepCopy()
	mesh.Spec.InitContainers = []corev1.Container{{RestartPolicy: &always, Resources: corev1.ResourceRequirements{Requests: list("cpu", "500m")}}}

	class := func(operator corev1.ScopeSelectorOperator, values ...string) *corev1.ScopeSelector {
		return &corev1.ScopeSelector{MatchExpressions: []corev1.ScopedResourceSelectorRequirement{
			{ScopeName: corev1.ResourceQuotaScopePriorityClass, Operator: operator, Values: values},
		}}
	}
	urgent := pod.DeepCopy()
	urgent.Spec.PriorityClassName = "urgent"

	for name, c := range map[string]struct {
		pod        *corev1.Pod
		hard, used corev1.ResourceList
		coming     int
		scopes     []corev1.ResourceQuotaScope
		selector   *corev1.ScopeSelector
		want       string // in what is said; "" for room
	}{
		"room":                       {hard: list("pods", "5"), used: list("pods", "4")},
		"pods":                       {hard: list("pods", "5"), used: list("pods", "5"), want: "pods: 5 of 5 used, a pod takes 1"},
		"count/pods":                 {hard: list("count/pods", "5"), used: list("count/pods", "5"), want: "count/pods: 5 of 5 used"},
		"pods on the way":            {hard: list("pods", "5"), used: list("pods", "3"), coming: 2, want: "pods: 3 of 5 used, and 2 on the way"},
		"room for those on the way":  {hard: list("pods", "5"), used: list("pods", "3"), coming: 1},
		"nothing used yet":           {hard: list("pods", "1")},
		"requests.cpu":               {hard: list("requests.cpu", "2"), used: list("requests.cpu", "1600m"), want: "requests.cpu: 1600m of 2 used, a pod takes 500m"},
		"cpu":                        {hard: list("cpu", "2"), used: list("cpu", "1600m"), want: "cpu: 1600m of 2 used"},
		"exactly enough":             {hard: list("cpu", "2"), used: list("cpu", "1500m")},
		"a limit is a request":       {hard: list("requests.memory", "1Gi"), used: list("requests.memory", "1Mi"), want: "requests.memory"},
		"limits.memory":              {hard: list("limits.memory", "1Gi"), used: list("limits.memory", "1Mi"), want: "limits.memory"},
		"limits.cpu, which it lacks": {hard: list("limits.cpu", "1"), used: list("limits.cpu", "1")},
		"what stands at the pod":     {pod: whole, hard: list("cpu", "2"), used: list("cpu", "1m"), want: "a pod takes 2"},
		"a container that runs along": {
			pod: mesh, hard: list("cpu", "2"), used: list("cpu", "1100m"), want: "a pod takes 1",
		},
		"secrets":                    {hard: list("count/secrets", "10"), used: list("count/secrets", "9"), want: "count/secrets: 9 of 10 used"},
		"something else":             {hard: list("count/configmaps", "1"), used: list("count/configmaps", "1")},
		"of pods with a deadline":    {hard: list("pods", "0"), scopes: []corev1.ResourceQuotaScope{corev1.ResourceQuotaScopeTerminating}, want: "pods"},
		"of pods without a deadline": {hard: list("pods", "0"), scopes: []corev1.ResourceQuotaScope{corev1.ResourceQuotaScopeNotTerminating}},
		"of pods that ask for nothing, which it is not": {
			hard: list("pods", "0"), scopes: []corev1.ResourceQuotaScope{corev1.ResourceQuotaScopeBestEffort},
		},
		"of pods that ask for nothing": {
			pod: plain, hard: list("pods", "0"), scopes: []corev1.ResourceQuotaScope{corev1.ResourceQuotaScopeBestEffort}, want: "pods",
		},
		"of pods that ask for something": {
			hard: list("pods", "0"), scopes: []corev1.ResourceQuotaScope{corev1.ResourceQuotaScopeNotBestEffort}, want: "pods",
		},
		"of a priority class":         {pod: urgent, hard: list("pods", "0"), selector: class(corev1.ScopeSelectorOpIn, "urgent"), want: "pods"},
		"of another priority class":   {pod: urgent, hard: list("pods", "0"), selector: class(corev1.ScopeSelectorOpIn, "low")},
		"of all priority classes but": {pod: urgent, hard: list("pods", "0"), selector: class(corev1.ScopeSelectorOpNotIn, "urgent")},
		"of any priority class":       {pod: urgent, hard: list("pods", "0"), selector: class(corev1.ScopeSelectorOpExists), want: "pods"},
		"of no priority class":        {pod: urgent, hard: list("pods", "0"), selector: class(corev1.ScopeSelectorOpDoesNotExist)},
	} {
		t.Run(name, func(t *testing.T) {
			if c.pod == nil {
				c.pod = pod
			}
			quota := &corev1.ResourceQuota{
				ObjectMeta: metav1.ObjectMeta{Name: "q", Namespace: "ci"},
				Spec:       corev1.ResourceQuotaSpec{Hard: c.hard, Scopes: c.scopes, ScopeSelector: c.selector},
				Status:     corev1.ResourceQuotaStatus{Hard: c.hard, Used: c.used},
			}
			got := lacking(quota, c.pod, c.coming)
			if (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
				t.Errorf("lacking: %q, want %q in it", got, c.want)
			}
		})
	}
}

func TestQuotaWait(t *testing.T) {
	refused := func(text string) error {
		return apierrors.NewForbidden(schema.GroupResource{Resource: "pods"}, "p", errors.New(text))
	}
	for _, c := range []struct {
		err  error
		want string
	}{
		{refused("exceeded quota: q, requested: pods=1, used: pods=5, limited: pods=5"), "exceeded quota: q, requested: pods=1, limited: pods=5"},
		{refused("exceeded quota: q"), "exceeded quota: q"},
		{refused("no"), ""},
		{errors.New("exceeded quota: q"), ""},
	} {
		if got := quotaWait(c.err); got != c.want {
			t.Errorf("quotaWait(%v) = %q, want %q", c.err, got, c.want)
		}
	}
}
