//go:build e2e

package e2e

import (
	"context"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/runnerd/runnerd/internal/standin"
)

// TestLostPods: what the cluster takes away before the script began is made
// again; a script that has begun fails with the cluster's own reason.
func TestLostPods(t *testing.T) {
	t.Parallel()
	s := start(t, options{
		concurrent: 3,
		runner:     `pre_get_sources_script = "echo hook begun; sleep ${HOOK_TAKES:-0}"`,
		kubernetes: `node_selector_overwrite_allowed = "^runnerd.io/"`,
	})
	vars := func(key, value string) []standin.Variable {
		return []standin.Variable{{Key: key, Value: value, Public: true}}
	}
	drained := s.add(standin.JobSpec{Name: "drained among its sources", Script: []string{"echo the script ran"}, Variables: vars("HOOK_TAKES", "10")})
	unplaced := s.add(standin.JobSpec{Name: "deleted before it had a node", Script: []string{"echo the script ran"}, Variables: vars("KUBERNETES_NODE_SELECTOR_1", "runnerd.io/e2e-lost=yes")})
	running := s.add(standin.JobSpec{Name: "drained in its script", Script: []string{"echo the script ran", "sleep 300"}})

	s.until(drained, "its hook", logHas("\nhook begun\n"))
	evict(t, s.pod(drained))
	wait(t, "the pod that finds no node", func() bool {
		pod := s.pod(unplaced)
		return pod != nil && len(pod.Status.Conditions) > 0
	})
	deletePod(t, s.pod(unplaced))
	labelNode(t, "runnerd.io/e2e-lost", "yes")
	s.until(running, "its script", logHas("\nthe script ran\n"))
	evict(t, s.pod(running))

	s.finish(drained, standin.Success)
	says(t, drained, "EvictionByEvictionAPI", "no script had begun, so the job begins anew in another pod (2 of 3)", "\nthe script ran\n")
	s.finish(unplaced, standin.Success)
	says(t, unplaced, "before it had a node", "no script had begun, so the job begins anew in another pod (2 of 3)", "\nthe script ran\n")
	s.finish(running, standin.Failed)
	says(t, running, "EvictionByEvictionAPI")
	if running.FailureReason() != "runner_system_failure" || strings.Contains(running.Text(), "begins anew") {
		t.Errorf("the job that was drained in its script: %s\n%s", running.FailureReason(), running.Text())
	}
	for _, j := range []*standin.Job{drained, unplaced, running} {
		if n := strings.Count(j.Text(), "\nthe script ran\n"); n != 1 {
			t.Errorf("the script of the job %s ran %d times", j.Name(), n)
		}
	}
	t.Logf("what a lost pod looks like:\n%s", drained.Text())
}

func logHas(part string) func(*standin.Job) bool {
	return func(j *standin.Job) bool { return strings.Contains(j.Text(), part) }
}

// evict takes a pod away as kubectl drain does.
func evict(t *testing.T, pod *corev1.Pod) {
	t.Helper()
	eviction := &policyv1.Eviction{ObjectMeta: metav1.ObjectMeta{Name: pod.Name, Namespace: pod.Namespace}}
	if err := ground.api.PolicyV1().Evictions(pod.Namespace).Evict(context.Background(), eviction); err != nil {
		t.Fatal(err)
	}
}

func deletePod(t *testing.T, pod *corev1.Pod) {
	t.Helper()
	if err := ground.api.CoreV1().Pods(pod.Namespace).Delete(context.Background(), pod.Name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
}
