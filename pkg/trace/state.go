package trace

import (
	"fmt"
	"net/http"
	"time"

	"go.uber.org/zap"

	"github.com/runnerd/runnerd/pkg/job"
)

// heard learns what every answer of GitLab tells: that it is there, how often
// it wants to hear from us, and whether the job is being canceled.
func (t *Trace) heard(a job.Answer) {
	now := time.Now()
	t.lastContact = now
	if a.Interval > 0 {
		t.interval = min(a.Interval, maxInterval)
	}
	t.notBefore = time.Time{}
	if a.RetryAfter > 0 && a.Status >= 400 {
		t.notBefore = now.Add(a.RetryAfter)
	}
	if a.JobState == "canceling" && t.acknowledged && !t.canceling {
		t.canceling = true
		t.signals <- job.CancelGracefully
	}
}

// refused tells whether GitLab does not want to hear of the job any more. The
// job's state counts more than the status.
func (t *Trace) refused(a job.Answer) bool {
	switch a.JobState {
	case "canceled", "failed":
		return true
	}
	return a.Status == http.StatusForbidden
}

// unknown tells whether GitLab does not know the job, or gives it to another
// manager. A PATCH is not judged by it: there it only ends the log.
func unknown(status int) bool {
	return status == http.StatusNotFound || status == http.StatusConflict
}

// giveUp ends the trace: nothing more is sent.
func (t *Trace) giveUp(what string, a job.Answer) {
	t.mu.Lock()
	first := !t.over
	t.over = true
	t.room.Broadcast()
	t.mu.Unlock()
	if !first {
		return
	}
	t.log.Info("job is over at GitLab", zap.String("what", what), zap.Int("status", a.Status),
		zap.String("state", a.JobState), zap.String("message", a.Message), zap.String("request", a.RequestID))
	t.signals <- job.Abort
	t.poke()
}

// confirm learns the length of the log at GitLab.
func (t *Trace) confirm(length int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	defer t.room.Broadcast()
	switch {
	case length < t.pending.start:
		t.breakLog(fmt.Errorf("GitLab has %d bytes of the log, but had confirmed %d; it lost some, and they are not kept here", length, t.pending.start))
	case length > t.written && !t.o.Resume:
		t.breakLog(fmt.Errorf("GitLab has %d bytes of the log, but only %d were written here; does another process run the job", length, t.written))
	default:
		if from := t.pending.start; length > from && !t.pending.empty() && t.o.Lag != nil {
			t.o.Lag(t.ages.took(from, length, time.Now()))
		}
		t.pending.drop(length)
		t.confirmed = length
	}
}

// breakLog stops sending the log; the job itself goes on. The caller holds mu.
func (t *Trace) breakLog(err error) {
	if t.broken == nil {
		t.broken = err
		t.log.Error("log of the job stays incomplete at GitLab", zap.Error(err))
	}
	t.pending.release()
	t.pending.start = t.written
	t.room.Broadcast()
}

func (t *Trace) hasLog() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return !t.pending.empty()
}

func (t *Trace) isOver() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.over
}

func errorOf(a job.Answer) error {
	if a.Message == "" {
		return fmt.Errorf("%d %s", a.Status, http.StatusText(a.Status))
	}
	return fmt.Errorf("%d %s: %s", a.Status, http.StatusText(a.Status), a.Message)
}
