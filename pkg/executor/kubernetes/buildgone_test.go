package kubernetes_test

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/runnerd/runnerd/pkg/executor/kubernetes"
	"github.com/runnerd/runnerd/pkg/job"
)

// TestBuildGone: the helper sees that the build container is gone before the cluster
// says how it ended, and the job fails for the latter.
func TestBuildGone(t *testing.T) {
	const helperWord = "the build container ended while the script ran"
	ended := func(reason string, code int32) corev1.ContainerState {
		return corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{Reason: reason, ExitCode: code}}
	}
	tests := []struct {
		name   string
		told   func(p *corev1.Pod) // a second after the result
		took   time.Duration
		reason job.Reason
		says   []string // instead of the helper's words; nil: those
	}{
		{
			name: "out of memory", took: time.Second, reason: job.ScriptFailure, says: []string{"ran out of memory", "exit code 137"},
			told: func(p *corev1.Pod) { setStatus(p, "build", ended("OOMKilled", 137)) },
		},
		{
			name: "lost by the runtime", took: time.Second, reason: job.RunnerSystemFailure, says: []string{"Unknown, exit code 255", "node-1"},
			told: func(p *corev1.Pod) { setStatus(p, "build", ended("Unknown", 255)) },
		},
		{
			name: "started again", took: time.Second, reason: job.RunnerSystemFailure,
			says: []string{"the node has started the build container again", "no script is run twice", "the first ended: Error, exit code 137"},
			told: func(p *corev1.Pod) {
				for i := range p.Status.ContainerStatuses {
					if c := &p.Status.ContainerStatuses[i]; c.Name == "build" {
						c.RestartCount, c.LastTerminationState = 1, ended("Error", 137)
					}
				}
			},
		},
		{name: "nobody says how", took: 10 * time.Second, reason: job.RunnerSystemFailure},
		{
			name: "the pod is deleted", took: time.Second, reason: job.RunnerSystemFailure,
			told: func(p *corev1.Pod) {
				p.DeletionTimestamp = &metav1.Time{Time: time.Now()}
				p.Finalizers = []string{"example.com/keep"}
			},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := start(t, newCluster(t), kubernetes.Config{}, simplePlan())
				log := r.start()
				time.Sleep(100 * time.Millisecond) // until it is followed
				began := time.Now()
				log.event(job.Event{Phase: &job.PhaseEvent{Name: "step_script"}})
				log.write("the script's output\n")
				log.event(job.Event{Ending: true})
				log.write("ERROR: Job failed (system failure): " + helperWord + "\n")
				log.event(job.Event{Result: &job.Result{
					Outcome:  job.Outcome{State: job.Failed, Reason: job.RunnerSystemFailure, Message: helperWord},
					LogBytes: log.next.Offset, BuildGone: true,
				}})
				log.end()
				if tt.told != nil {
					time.Sleep(time.Second) // in the bubble
					r.update(tt.told)
				}
				r.wait()
				if took := time.Since(began); took != tt.took {
					t.Errorf("the job ended %v after the helper's word, want %v", took, tt.took)
				}
				if tt.says == nil {
					if r.err != nil || r.outcome.Reason != tt.reason || !strings.HasPrefix(r.outcome.Message, helperWord) || !strings.Contains(r.log.String(), helperWord) {
						t.Errorf("Run: %+v, %v; the log: %q", r.outcome, r.err, r.log)
					}
					return
				}
				failure, _ := errors.AsType[*job.Failure](r.err)
				if failure == nil || failure.Reason != tt.reason || strings.Contains(r.log.String(), helperWord) {
					t.Fatalf("Run: %+v, %v; the log: %q", r.outcome, r.err, r.log)
				}
				for _, text := range tt.says {
					if !strings.Contains(failure.Message, text) {
						t.Errorf("the failure is %q, it lacks %q", failure.Message, text)
					}
				}
			})
		})
	}
}
