package kubernetes_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/runnerd/runnerd/pkg/executor"
	"github.com/runnerd/runnerd/pkg/executor/kubernetes"
	"github.com/runnerd/runnerd/pkg/job"
)

func TestCancel(t *testing.T) {
	tests := []struct {
		name  string
		start bool // the pod has a node and runs
		after func(*podLog)
		took  time.Duration
		gone  bool // the pod was deleted for it
		want  job.State
	}{
		{
			name: "helper answers", start: true,
			after: func(log *podLog) {
				log.event(job.Event{Canceling: true})
				time.Sleep(time.Minute) // after_script
				log.result(job.Outcome{State: job.Canceled, Reason: job.JobCanceled})
			},
			took: time.Minute, want: job.Canceled,
		},
		{name: "helper is silent", start: true, took: 5 * time.Second, gone: true, want: job.Canceled},
		{name: "pod has no node yet", took: 0, gone: true, want: job.Canceled},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := start(t, newCluster(t), kubernetes.Config{}, simplePlan())
				var log *podLog
				if tt.start {
					log = r.start()
					log.write("begun\n")
				}
				began := time.Now()
				r.signals <- job.CancelGracefully
				synctest.Wait()
				if tt.start {
					if got := r.pod().Annotations["runnerd.io/signal"]; got != "cancel" {
						t.Errorf("annotation runnerd.io/signal = %q, want cancel", got)
					}
				}
				if tt.after != nil {
					tt.after(log)
				}
				r.wait()
				if r.err != nil || r.outcome.State != tt.want {
					t.Errorf("Run = %+v, %v, want state %s", r.outcome, r.err, tt.want)
				}
				if gone := len(r.pods()) == 0; gone != tt.gone {
					t.Errorf("pod gone = %v, want %v", gone, tt.gone)
				}
				if took := time.Since(began); took < tt.took || took > tt.took+2*time.Second {
					t.Errorf("took %v, want %v", took, tt.took)
				}
			})
		})
	}
}

// A log that GitLab does not take hides the helper's answer; that is no reason
// to kill the job.
func TestCancelWaitsWhileGitLabIsBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, newCluster(t), kubernetes.Config{}, simplePlan())
		log := r.start()
		log.cut()
		r.change(log, func() { log.opened = false }) // refused: nothing can be heard
		r.signals <- job.CancelGracefully
		time.Sleep(time.Minute)
		if len(r.pods()) != 1 {
			t.Fatal("pod was deleted though its helper could not be heard")
		}
		log.open()
		log.event(job.Event{Canceling: true})
		log.result(job.Outcome{State: job.Canceled, Reason: job.JobCanceled})
		r.wait()
		if r.outcome.State != job.Canceled || r.err != nil {
			t.Errorf("Run = %+v, %v", r.outcome, r.err)
		}
	})
}

func (r *run) change(log *podLog, f func()) { log.change(f); synctest.Wait() }

func TestContextEndsRunAtOnceAndLeavesThePod(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, newCluster(t), kubernetes.Config{}, simplePlan())
		r.start().write("begun\n")
		r.cancel(executor.ErrDetached)
		if took := r.wait(); took != 0 || !errors.Is(r.err, executor.ErrDetached) {
			t.Errorf("Run = %v after %v, want ErrDetached at once", r.err, took)
		}
		if len(r.pods()) != 1 {
			t.Error("pod is gone")
		}
	})
}
