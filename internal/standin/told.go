package standin

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// toldJob is what the client knows of a job from the answers it has got, and
// thus what it can be held to. Guarded by Server.mu.
type toldJob struct {
	restarted bool      // the client's process is new: it knows nothing
	since     time.Time // of the last PATCH or PUT, or of the hand-out
	grace     time.Duration
	unsure    bool                   // an answer was lost: the client may not know the log's length
	stopped   string                 // why the client must not come again; empty: it may
	cancel    time.Time              // when it was first told of canceling
	notBefore map[Endpoint]time.Time // when it may come again

	host          string    // that the last PATCH came from
	patched       time.Time // end of the last PATCH that was answered 202 or 416; zero: no such
	patchInterval time.Duration
	interval      time.Duration
}

// another reports whether a PATCH comes from another replica than the last one: a
// client on another host, which was told nothing.
func (t *toldJob) another(c *call) bool { return t.host != "" && t.host != c.host() }

// enterJob notes a PATCH or PUT that has arrived. s.mu is held.
func (s *Server) enterJob(c *call) {
	j := c.job
	j.flying++
	c.leaving = append(c.leaving, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		j.flying--
	})
	if j.flying > 1 {
		s.violate(c, "14.24", "%d PATCH and PUT requests of the job at once; send the next when the last is answered", j.flying)
	}
	if j.told.stopped != "" {
		s.violate(c, "14.15", "request after %s; the client has to stop", j.told.stopped)
	}
	s.checkKeepAlive(c)
}

// checkKeepAlive checks that the client did not leave the job alone for too
// long (14.21).
func (s *Server) checkKeepAlive(c *call) {
	t := &c.job.told
	if gap := c.start.Sub(t.since); !t.since.IsZero() && gap > s.opts.KeepAlive+t.grace+s.opts.Tolerance {
		s.violate(c, "14.21", "%s without PATCH or PUT, at most %s are allowed", gap.Round(time.Millisecond), s.opts.KeepAlive)
	}
	t.since, t.grace = c.start, 0
}

// hear notes what an answer tells the client. server.mu is held.
func (j *Job) hear(c *call, a answer) {
	t, now := &j.told, time.Now()
	defer j.server.broadcast()
	if c.endpoint == UploadArtifact {
		j.hearWait(c, a, now)
		return
	}
	if !a.delivered() {
		t.unsure = true
		t.patched = time.Time{}
		return
	}
	j.hearWait(c, a, now)
	j.hearStop(c, a)
	if s := State(a.header.Get("Job-Status")); s == Canceling && t.cancel.IsZero() {
		t.cancel = now
		j.startCancelTimer()
	}
	if n, err := strconv.Atoi(a.header.Get("X-GitLab-Trace-Update-Interval")); err == nil {
		t.interval = time.Duration(n) * time.Second
	}
	if c.endpoint != PatchTrace {
		return
	}
	t.host, t.patched = c.host(), time.Time{}
	if a.status == http.StatusAccepted || a.status == http.StatusRequestedRangeNotSatisfiable {
		t.unsure, t.restarted = false, false
		t.patched, t.patchInterval = now, t.interval
	}
}

func (j *Job) hearWait(c *call, a answer, now time.Time) {
	until, ok := waitTold(a, now)
	if c.endpoint == UpdateJob && a.status == http.StatusAccepted && a.delivered() { // 14.17
		n, err := strconv.Atoi(a.header.Get("X-GitLab-Trace-Update-Interval"))
		until, ok = now.Add(time.Duration(n)*time.Second), err == nil
	}
	if !ok || !a.delivered() {
		return
	}
	if j.told.notBefore == nil {
		j.told.notBefore = map[Endpoint]time.Time{}
	}
	j.told.notBefore[c.endpoint] = until
	j.told.grace = max(j.told.grace, until.Sub(now))
}

// hearStop notes the answers after which a client has nothing more to say. A page
// is not GitLab's answer, but that of a proxy that has lost its GitLab.
func (j *Job) hearStop(c *call, a answer) {
	if strings.HasPrefix(a.header.Get("Content-Type"), "text/html") {
		return
	}
	status := State(a.header.Get("Job-Status"))
	switch {
	case a.status == http.StatusForbidden, a.status == http.StatusNotFound && c.endpoint == UpdateJob:
		j.told.stopped = "status " + strconv.Itoa(a.status)
	case c.endpoint == UpdateJob && a.status == http.StatusOK && j.final != nil:
		j.told.stopped = "the final update was taken"
	case status == Canceled || status == Failed:
		j.told.stopped = "Job-Status: " + string(status)
	}
}

// startSilenceTimer fails the job when it is not heard of for too long.
func (j *Job) startSilenceTimer() {
	if j.silenceTimer != nil {
		j.silenceTimer.Stop()
	}
	j.silenceTimer = j.after(j.server.opts.Silence, func() {
		reason := "no_updates_running"
		if j.state == Canceling {
			reason = "no_updates_canceling"
		}
		j.finish(Failed, reason, 0, "not heard of for "+j.server.opts.Silence.String())
	})
}

// startAckTimer puts a two-phase job back when nobody acknowledges it (14.13):
// it fails, and a retry takes its place.
func (j *Job) startAckTimer() {
	if j.ackTimer != nil {
		j.ackTimer.Stop()
	}
	j.ackTimer = j.after(j.server.opts.TwoPhaseTTL, func() {
		s := j.server
		n := &Job{
			server: s, id: s.id(), pipeline: j.pipeline, token: "glcbt-64_" + randomHex(10),
			spec: j.spec, sha: j.sha, state: Pending, pendingSince: time.Now(),
		}
		s.jobs[n.id], j.retried = n, n
		s.order = append(s.order, n)
		n.event(EventCreated, 0, "retry of another job")
		n.event(EventPending, 0, "")
		for _, r := range s.runners {
			r.bump()
		}
		if !j.kept { // else the client may have given it back, by saying nothing more (2.8)
			s.violations.add(Violation{Point: "14.13", Job: j.id, Text: "not acknowledged with PUT running within " + s.opts.TwoPhaseTTL.String()})
		}
		j.finish(Failed, "runner_provisioning_timeout", 0, "not acknowledged")
	})
}

// startCancelTimer records when no final update follows a cancel (14.30).
func (j *Job) startCancelTimer() {
	s := j.server
	j.cancelTimer = j.after(s.opts.CancelWithin, func() {
		s.violations.add(Violation{
			Point: "14.30", Job: j.id,
			Text: "no final update within " + s.opts.CancelWithin.String() + " after the client was told of the cancel",
		})
		s.broadcast()
	})
}

// after runs f with the server locked, unless the job is over by then.
func (j *Job) after(d time.Duration, f func()) *time.Timer {
	return time.AfterFunc(d, func() {
		j.server.mu.Lock()
		defer j.server.mu.Unlock()
		if !j.state.Final() && !j.server.closing {
			f()
		}
	})
}

// stopTimers ends the job's timers. server.mu is held.
func (j *Job) stopTimers() {
	for _, t := range []*time.Timer{j.ackTimer, j.silenceTimer, j.cancelTimer} {
		if t != nil {
			t.Stop()
		}
	}
}
