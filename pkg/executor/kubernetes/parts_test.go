package kubernetes

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/runnerd/runnerd/pkg/executor"
)

// podAt is a pod on a node; with started, its containers run since then.
func podAt(started time.Time) podState {
	pod := &corev1.Pod{Spec: corev1.PodSpec{NodeName: "node"}}
	for _, name := range []string{containerHelper, containerBuild} {
		status := corev1.ContainerStatus{Name: name}
		if !started.IsZero() {
			status.State.Running = &corev1.ContainerStateRunning{StartedAt: metav1.NewTime(started)}
		}
		pod.Status.ContainerStatuses = append(pod.Status.ContainerStatuses, status)
	}
	return podState{pod: pod}
}

// TestStartClock: the parts of a pod's start, by what is known of them first.
func TestStartClock(t *testing.T) {
	tests := []struct {
		name string
		pass func(c *startClock)
		want map[string]time.Duration
	}{
		{"by its status", func(c *startClock) {
			c.next(executor.Creating)
			time.Sleep(time.Second)
			c.next(executor.Scheduling)
			c.see(podState{})
			time.Sleep(2 * time.Second)
			c.see(podAt(time.Time{}))
			time.Sleep(10 * time.Second)
			started := time.Now()
			time.Sleep(3 * time.Second) // the cluster is late
			c.see(podAt(started))
			c.see(podAt(started))
			c.begun(time.Now())
		}, map[string]time.Duration{executor.Creating: time.Second, executor.Scheduling: 2 * time.Second, executor.Pulling: 11 * time.Second}},
		{"by its script", func(c *startClock) {
			c.next(executor.Scheduling)
			time.Sleep(time.Second)
			c.see(podAt(time.Time{}))
			time.Sleep(time.Second)
			c.begun(time.Now())
			c.see(podAt(time.Now()))
		}, map[string]time.Duration{executor.Scheduling: time.Second, executor.Pulling: time.Second}},
		{"by clocks that differ", func(c *startClock) {
			c.next(executor.Scheduling)
			time.Sleep(time.Second)
			c.see(podAt(time.Time{}))
			time.Sleep(time.Second)
			c.see(podAt(time.Now().Add(-time.Hour)))
			c.next(executor.Scheduling)
			c.see(podAt(time.Time{}))
			time.Sleep(time.Second)
			c.begun(time.Now().Add(time.Hour))
		}, map[string]time.Duration{executor.Scheduling: time.Second, executor.Pulling: time.Second}},
		{"found", func(c *startClock) {
			c.see(podAt(time.Now()))
			c.begun(time.Now())
		}, map[string]time.Duration{}},
		{"without a node", func(c *startClock) {
			c.next(executor.Scheduling)
			c.see(podState{})
		}, map[string]time.Duration{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				got := map[string]time.Duration{}
				tt.pass(&startClock{took: func(part string, from, to time.Time) { got[part] += to.Sub(from) }})
				if diff := cmp.Diff(tt.want, got); diff != "" {
					t.Error(diff)
				}
			})
		})
	}
}
