package kubernetes_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/runnerd/runnerd/pkg/executor/kubernetes"
	"github.com/runnerd/runnerd/pkg/job"
)

// TestServiceThatNeverStarted: a script that is over before the cluster says
// that a service's image is missing has not succeeded, and its log does not say
// so.
func TestServiceThatNeverStarted(t *testing.T) {
	tests := []struct {
		name   string
		told   corev1.ContainerState
		reason job.Reason
	}{
		{name: "running", told: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}},
		{name: "ended", told: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: 1, Reason: "Error"}}},
		{
			name: "no image", reason: job.RunnerConfigurationError,
			told: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "ErrImagePull", Message: "manifest unknown"}},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				plan := simplePlan()
				plan.Services = []job.Service{{Image: job.Image{Name: "registry.example.com/db:1"}, Aliases: []string{"db"}}}
				r := start(t, newCluster(t), kubernetes.Config{}, plan)
				log := r.start()
				r.update(func(p *corev1.Pod) {
					p.Status.ContainerStatuses = slices.DeleteFunc(p.Status.ContainerStatuses, func(c corev1.ContainerStatus) bool { return c.Name == "db" })
				})
				log.write("the script's output\n")
				log.event(job.Event{Ending: true})
				log.write("Job succeeded\n")
				log.result(job.Outcome{State: job.Success})
				time.Sleep(time.Second) // in the bubble: a status that comes late
				r.update(func(p *corev1.Pod) { setStatus(p, "db", tt.told) })
				r.wait()
				want := "the script's output\n"
				if tt.reason == "" {
					want += "Job succeeded\n"
				}
				if r.log.String() != want {
					t.Errorf("the log is %q, want %q", r.log, want)
				}
				failure, _ := errors.AsType[*job.Failure](r.err)
				switch {
				case tt.reason == "" && (r.err != nil || r.outcome.State != job.Success):
					t.Errorf("Run: %+v, %v, want success", r.outcome, r.err)
				case tt.reason != "" && (failure == nil || failure.Reason != tt.reason || !strings.Contains(failure.Message, "db:1")):
					t.Errorf("Run: %+v, %v, want a failure that names the image", r.outcome, r.err)
				}
			})
		})
	}
}
