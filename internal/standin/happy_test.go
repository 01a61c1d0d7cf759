package standin_test

import (
	"context"
	"encoding/json"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/runnerd/runnerd/internal/standin"
)

func TestJobFromRequestToSuccess(t *testing.T) {
	c := newNetworked(t, standin.Options{PathPrefix: "/gitlab"})
	r := c.want(http.StatusNoContent, c.request(""))
	value := r.header.Get("X-GitLab-Last-Update")
	if value == "" {
		t.Fatal("204 without X-GitLab-Last-Update")
	}
	j := c.srv.AddJob(standin.JobSpec{Name: "unit", Script: []string{"make test"}})
	r = c.want(http.StatusCreated, c.request(value))
	var payload struct {
		ID      int64
		Token   string
		JobInfo struct{ Name string } `json:"job_info"`
	}
	if err := json.Unmarshal(r.body, &payload); err != nil {
		t.Fatalf("payload: %v", err)
	}
	if payload.ID != j.ID() || payload.Token != j.Token() || payload.JobInfo.Name != "unit" {
		t.Errorf("payload is of %+v, want job %d", payload, j.ID())
	}

	r = c.want(http.StatusOK, c.put(j, map[string]any{"state": "running"}))
	if got := r.header.Get("Job-Status"); got != "running" {
		t.Errorf("Job-Status is %q, want running", got)
	}
	r = c.want(http.StatusAccepted, c.patch(j, line("\x1b[0Khello")))
	if got := r.header.Get("Range"); got != "0-42" {
		t.Errorf("Range is %q, want 0-42", got)
	}
	c.want(http.StatusAccepted, c.patch(j, line("world"))) // back to back: the final flush
	c.want(http.StatusOK, c.finish(j, "failed", map[string]any{"failure_reason": "script_failure", "exit_code": 2}))

	state, err := j.Wait(context.Background())
	if err != nil || state != standin.Failed || j.FailureReason() != "script_failure" || j.ExitCode() != 2 {
		t.Errorf("ended %s %s %d (%v), want failed script_failure 2", state, j.FailureReason(), j.ExitCode(), err)
	}
	if got, want := j.Text(), "\x1b[0Khello\nworld\n"; got != want {
		t.Errorf("text is %q, want %q", got, want)
	}
	if j.Runner() != c.runner || j.SystemID() != systemID {
		t.Errorf("job is with %v %q", j.Runner(), j.SystemID())
	}
	var kinds []standin.EventKind
	for _, e := range j.Events() {
		kinds = append(kinds, e.Kind)
	}
	want := []standin.EventKind{
		standin.EventCreated, standin.EventPending, standin.EventHandedOut, standin.EventRunning,
		standin.EventFirstByte, standin.EventPatch, standin.EventPatch, standin.EventFinalUpdate, standin.EventFinished,
	}
	if diff := cmp.Diff(want, kinds); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

func TestLongPoll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newRaw(t, standin.Options{RequestConcurrency: 1, PromptPoll: time.Millisecond, Tolerance: time.Millisecond})
		value := c.request("").header.Get("X-GitLab-Last-Update")

		start := time.Now()
		r := c.want(http.StatusNoContent, c.request(value))
		if got := time.Since(start); got != 50*time.Second {
			t.Errorf("an unchanged queue held the request for %s, want 50s", got)
		}
		if r.header.Get("X-GitLab-Last-Update") != "" || r.header.Get("Gitlab-Ci-Builds-Polling") != "yes" {
			t.Errorf("headers after a hold: %v", r.header)
		}

		done := make(chan reply)
		go func() { done <- c.request(value) }()
		synctest.Wait()
		j := c.srv.AddJob(standin.JobSpec{})
		r = c.want(http.StatusNoContent, <-done)
		if r.header.Get("X-GitLab-Last-Update") != "" {
			t.Error("204 after a change carries X-GitLab-Last-Update")
		}
		c.want(http.StatusCreated, c.request(value))
		if j.State() != standin.Running {
			t.Errorf("job is %s, want running", j.State())
		}
		if got := points(c.srv); got != nil {
			t.Errorf("violations: %v", got)
		}

		go func() { done <- c.request(value) }() // not held: the value is old
		r = <-done
		value = r.header.Get("X-GitLab-Last-Update")
		go func() { done <- c.request(value) }()
		synctest.Wait()
		c.srv.AddJob(standin.JobSpec{})
		<-done
		time.Sleep(time.Second)
		c.want(http.StatusCreated, c.request(value))
		if diff := cmp.Diff([]string{"17.1"}, points(c.srv)); diff != "" {
			t.Errorf("a slow return after a hold (-want +got):\n%s", diff)
		}
	})
}

func TestHandshake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newRaw(t, standin.Options{Handshakes: 2, HandshakePause: 2 * time.Second})
		j := c.run(standin.JobSpec{})
		for range 2 {
			r := c.want(http.StatusAccepted, c.finish(j, "success", nil))
			if got := r.header.Get("X-GitLab-Trace-Update-Interval"); got != "2" {
				t.Errorf("interval is %q, want 2", got)
			}
			time.Sleep(2 * time.Second)
		}
		c.want(http.StatusOK, c.finish(j, "success", nil))
		if j.State() != standin.Success {
			t.Errorf("job is %s", j.State())
		}
		if got := points(c.srv); got != nil {
			t.Errorf("violations: %v", got)
		}
	})
}

func TestCancel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newRaw(t, standin.Options{})
		j := c.run(standin.JobSpec{})
		j.Cancel()
		r := c.want(http.StatusAccepted, c.patch(j, line("still printing")))
		if got := r.header.Get("Job-Status"); got != "canceling" {
			t.Errorf("Job-Status is %q, want canceling", got)
		}
		c.want(http.StatusOK, c.finish(j, "failed", map[string]any{"failure_reason": "unknown_failure"}))
		if j.State() != standin.Canceled {
			t.Errorf("job is %s, want canceled", j.State())
		}

		forced := c.run(standin.JobSpec{})
		forced.Cancel()
		forced.ForceCancel()
		r = c.want(http.StatusForbidden, c.put(forced, map[string]any{"state": "running"}))
		if got := r.header.Get("Job-Status"); got != "canceled" {
			t.Errorf("Job-Status is %q, want canceled", got)
		}
		if got := points(c.srv); got != nil {
			t.Errorf("violations: %v", got)
		}
	})
}

func TestCancelWithoutTheFeature(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newRaw(t, standin.Options{})
		features := map[string]bool{"refspecs": true}
		ask := func() reply {
			return c.json("POST", "/jobs/request", map[string]any{
				"token": c.runner.Token(), "system_id": systemID,
				"info": map[string]any{"features": features},
			}, header{"RUNNER-TOKEN", c.runner.Token()})
		}
		j := c.srv.AddJob(standin.JobSpec{})
		c.want(http.StatusCreated, ask())
		j.Cancel()
		if j.State() != standin.Canceled {
			t.Errorf("job is %s, want canceled at once", j.State())
		}

		features["cancel_gracefully"] = true // not stored before the hold is over
		j = c.srv.AddJob(standin.JobSpec{})
		c.want(http.StatusCreated, ask())
		j.Cancel()
		if j.State() != standin.Canceled {
			t.Errorf("job is %s, want canceled at once: features are held", j.State())
		}
		time.Sleep(40 * time.Minute)
		j = c.srv.AddJob(standin.JobSpec{})
		c.want(http.StatusCreated, ask())
		j.Cancel()
		if j.State() != standin.Canceling {
			t.Errorf("job is %s, want canceling", j.State())
		}
	})
}

func TestTwoPhase(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newRaw(t, standin.Options{TwoPhase: true})
		j := c.take(standin.JobSpec{})
		if j.State() != standin.Pending {
			t.Errorf("job is %s before its acknowledgement, want pending", j.State())
		}
		time.Sleep(100 * time.Second)
		c.want(http.StatusOK, c.put(j, map[string]any{"state": "pending"}))
		time.Sleep(100 * time.Second)
		c.want(http.StatusOK, c.put(j, map[string]any{"state": "running"}))
		if j.State() != standin.Running {
			t.Errorf("job is %s, want running", j.State())
		}

		lost := c.take(standin.JobSpec{})
		time.Sleep(3 * time.Minute)
		if lost.State() != standin.Failed || lost.FailureReason() != "runner_provisioning_timeout" {
			t.Errorf("job is %s %s, want failed runner_provisioning_timeout", lost.State(), lost.FailureReason())
		}
		again := lost.RetriedAs()
		if again == nil {
			t.Fatal("the lost job was not queued again")
		}
		c.want(http.StatusCreated, c.request(""))
		c.want(http.StatusOK, c.put(again, map[string]any{"state": "running"}))
	})
}

func TestSilentJobFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newRaw(t, standin.Options{})
		j := c.run(standin.JobSpec{})
		state, err := j.Wait(t.Context())
		if err != nil || state != standin.Failed || j.FailureReason() != "no_updates_running" {
			t.Errorf("job ended %s %s (%v)", state, j.FailureReason(), err)
		}
		c.want(http.StatusForbidden, c.put(j, map[string]any{"state": "running"}))
	})
}
