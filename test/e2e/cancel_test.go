//go:build e2e

package e2e

import (
	"strings"
	"testing"
	"time"

	"github.com/runnerd/runnerd/internal/standin"
)

// TestCancel: the script stops soon, after_script runs, the pod goes.
//
// The targets are 3 s for a printing job and 12 s for a silent one, and 2 s for
// the pod; what was measured is logged, and the test allows a loaded machine
// the double.
func TestCancel(t *testing.T) {
	const printing = `while :; do echo "still here"; sleep 0.2; done`
	tests := []struct {
		name     string
		script   string
		interval time.Duration // GitLab's: 3 s while somebody looks at the log, 60 s otherwise
		force    bool
		within   time.Duration
	}{
		{"printing", printing, 3 * time.Second, false, 3 * time.Second},
		{"silent", "sleep 300", 3 * time.Second, false, 12 * time.Second},
		{"silent, nobody watches", "sleep 300", time.Minute, false, 12 * time.Second},
		{"printing, forced", printing, 3 * time.Second, true, 3 * time.Second},
		{"silent, forced", "sleep 300", 3 * time.Second, true, 12 * time.Second},
		{"silent, forced, nobody watches", "sleep 300", time.Minute, true, 12 * time.Second},
	}
	s := start(t, options{})
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s.gitlab.SetTraceInterval(3 * time.Second)
			j := s.add(standin.JobSpec{
				Name: tt.name, Script: []string{"echo begun", tt.script},
				AfterScript: []string{`echo "after_script, status $CI_JOB_STATUS"`},
			})
			s.until(j, "the script", func(j *standin.Job) bool { return strings.Contains(j.Text(), "\nbegun\n") })
			pod := s.pod(j)
			if pod == nil {
				t.Fatal("the job has no pod")
			}
			s.gitlab.SetTraceInterval(tt.interval)
			if tt.interval > 10*time.Second {
				// The daemon learns of the interval with its next exchange.
				before := s.gitlab.Requests(standin.UpdateJob)
				wait(t, "a keep-alive", func() bool { return s.gitlab.Requests(standin.UpdateJob) > before })
			}
			canceled := time.Now()
			if tt.force {
				j.Cancel()
				j.ForceCancel()
			} else {
				j.Cancel()
			}
			s.finish(j, standin.Canceled)
			ended := when(t, j, standin.EventFinished)
			gone := s.gone(pod)
			t.Logf("ended after %v, pod gone after %v", ended.Sub(canceled), gone.Sub(canceled))
			if tt.force {
				// GitLab's part is over at once; what counts is the pod.
				if d := gone.Sub(canceled); d > 2*tt.within+2*time.Second {
					t.Errorf("the pod was gone after %v, want %v", d, tt.within)
				}
				return
			}
			if d := ended.Sub(canceled); d > 2*tt.within {
				t.Errorf("the job ended after %v, want %v", d, tt.within)
			}
			if d := gone.Sub(ended); d > 4*time.Second {
				t.Errorf("the pod was gone %v behind the job's end, want 2 s", d)
			}
			if !strings.Contains(j.Text(), "\nafter_script, status canceled\n") {
				t.Errorf("after_script did not run:\n%s", j.Text())
			}
		})
	}
}
