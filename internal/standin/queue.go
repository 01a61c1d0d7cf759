package standin

import (
	"net/http"
	"strings"
	"time"
)

// requestJob answers POST /jobs/request: Workhorse's long polling first, then
// what Rails does (2.3, 2.4).
func (s *Server) requestJob(c *call) answer {
	q := c.request
	if q == nil {
		return s.badJobRequest(c)
	}
	switch c.Header.Get("RUNNER-TOKEN") {
	case q.Token:
	case "":
		s.violate(c, "0A", "header RUNNER-TOKEN is missing; the token belongs into the body and the header")
	default:
		s.checkTokenHeader(c, "RUNNER-TOKEN", q.Token)
	}
	if q.Session != nil && !strings.HasPrefix(q.Session.URL, "https://") {
		s.violate(c, "2.1", "session.url is %q, want https", q.Session.URL)
	}
	if s.opts.Polling < 0 {
		return s.findJob(c)
	}
	if q.LastUpdate != nil && *q.LastUpdate != "" {
		c.held = s.hold(c)
	}
	a := answer{status: http.StatusNoContent}
	if c.held == notHeld {
		a = s.findJob(c)
	}
	return a.with("Gitlab-Ci-Builds-Polling", "yes")
}

// hold keeps the request for as long as its queue value is the current one,
// but not longer than the polling time.
func (s *Server) hold(c *call) held {
	t := time.NewTimer(s.opts.Polling)
	defer t.Stop()
	result := notHeld
	for {
		s.mu.Lock()
		r, changed := s.runnerByToken(c.request.Token), s.changed
		equal := r != nil && r.queue == *c.request.LastUpdate
		s.mu.Unlock()
		if !equal {
			return result
		}
		result = heldUntilChange
		select {
		case <-changed:
		case <-t.C:
			return heldToTheEnd
		case <-c.Context().Done():
			return heldToTheEnd
		case <-s.closed:
			return heldToTheEnd
		}
	}
}

// findJob is Rails' part.
func (s *Server) findJob(c *call) answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.runnerByToken(c.request.Token)
	if r == nil {
		return refuse(http.StatusForbidden, "Forbidden")
	}
	m := r.contact(c, c.request.SystemID, c.request.Info)
	r.issued[r.queue] = true
	nothing := answer{status: http.StatusNoContent}.with("X-GitLab-Last-Update", r.queue)
	if r.spec.Paused {
		return nothing
	}
	if last := c.request.LastUpdate; last != nil && *last == r.queue {
		return nothing
	}
	for _, j := range s.order {
		if j.state != Pending || j.awaiting || j.spec.Runner != nil && j.spec.Runner != r {
			continue
		}
		j.preparePayload(r, s.base(c.Request))
		if missing := j.unsupported(c.request.features()); missing != "" { // 14.8
			j.finish(Failed, "runner_unsupported", 0, "runner lacks the feature "+missing)
			continue
		}
		if c.Context().Err() != nil {
			return answer{cut: true} // the client is gone: the job stays
		}
		s.handOut(c, j, r, m)
		return answer{status: http.StatusCreated, body: j.payload}.with("Content-Type", "application/json")
	}
	return nothing
}

// handOut gives a job to a manager, once (14.8).
func (s *Server) handOut(c *call, j *Job, r *Runner, m *manager) {
	j.runner, j.manager = r, m
	j.told.since = time.Now()
	j.event(EventHandedOut, 0, m.SystemID)
	if s.opts.TwoPhase && c.request.features()["two_phase_job_commit"] {
		j.awaiting = true
		j.startAckTimer()
	} else {
		j.state = Running
	}
	j.startSilenceTimer()
	s.checkConcurrency(c, r)
	s.broadcast()
}

// checkConcurrency counts the jobs that run (14.10).
func (s *Server) checkConcurrency(c *call, r *Runner) {
	all, own := 0, 0
	for _, j := range s.jobs {
		if j.state != Running && j.state != Canceling && !j.awaiting {
			continue
		}
		all++
		if j.runner == r {
			own++
		}
	}
	if n := s.opts.Concurrent; n > 0 && all > n {
		s.violate(c, "14.10", "%d jobs run at once, concurrent is %d", all, n)
	}
	if n := r.spec.Limit; n > 0 && own > n {
		s.violate(c, "14.10", "%d jobs of the runner run at once, its limit is %d", own, n)
	}
}
