package standin

import (
	"encoding/json"
	"net/http"
	"time"
)

// A clientKey is who asks for jobs.
type clientKey struct{ token, systemID string }

// A client is a manager as the checks see it: what it is doing and what it
// has been told. Guarded by Server.mu.
type client struct {
	flying int // job requests being handled
	told   toldClient
}

// toldClient is what a client knows from the answers it has got.
type toldClient struct {
	value     string    // the last X-GitLab-Last-Update
	valueAt   time.Time // when it was told
	notBefore time.Time // when it may ask again
	woken     time.Time // when a held request last ended early
}

// How a request's hold ended.
type held int

const (
	notHeld held = iota
	heldToTheEnd
	heldUntilChange
)

// jobRequest is the body of POST /jobs/request (2.1).
type jobRequest struct {
	Token      string      `json:"token"`
	SystemID   string      `json:"system_id"`
	Info       *runnerInfo `json:"info"`
	LastUpdate *string     `json:"last_update"`
	Session    *struct {
		URL string `json:"url"`
	} `json:"session"`
}

func (q *jobRequest) features() map[string]bool {
	if q.Info == nil {
		return nil
	}
	return q.Info.Features
}

// enterClient counts a job request and checks what the client sends against
// what it was told. s.mu is held.
func (s *Server) enterClient(c *call) {
	key := clientKey{c.request.Token, c.request.SystemID}
	cl := s.clients[key]
	if cl == nil {
		cl = &client{}
		s.clients[key] = cl
	}
	c.client = cl
	cl.flying++
	c.leaving = append(c.leaving, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		cl.flying--
	})
	if n := s.opts.RequestConcurrency; n > 0 && cl.flying > n {
		s.violate(c, "14.9", "%d job requests at once, request_concurrency is %d", cl.flying, n)
	}
	s.checkLastUpdate(c)
	if woken := cl.told.woken; !woken.IsZero() && s.opts.PromptPoll > 0 {
		if gap := c.start.Sub(woken); gap > s.opts.PromptPoll+s.opts.Tolerance {
			s.violate(c, "17.1", "asked %s after a held request ended early; ask again at once", gap.Round(time.Millisecond))
		}
	}
	cl.told.woken = time.Time{}
}

// checkLastUpdate checks the queue value that the client sends (14.6, 14.7).
func (s *Server) checkLastUpdate(c *call) {
	r := s.runnerByToken(c.request.Token)
	if r == nil {
		return
	}
	told := c.client.told.value
	if s.opts.RequestConcurrency != 1 && c.start.Sub(c.client.told.valueAt) < s.opts.Tolerance {
		told = "" // the request may have been on its way when another one was answered
	}
	switch last := c.request.LastUpdate; {
	case last == nil && told != "":
		s.violate(c, "14.6", "last_update is missing; the client was told %q and has to repeat it", told)
	case last == nil:
	case *last == "":
		s.violate(c, "14.7", "last_update is empty; leave it out while no value is known")
	case !r.issued[*last]:
		s.violate(c, "14.7", "last_update %q was never issued to this runner", *last)
	case s.opts.RequestConcurrency == 1 && told != "" && *last != told:
		s.violate(c, "14.6", "last_update is %q, the last value told is %q", *last, told)
	}
}

// hear notes what an answer tells the client. Server.mu is held.
func (cl *client) hear(c *call, a answer) {
	if !a.delivered() {
		return
	}
	now := time.Now()
	if v := a.header.Get("X-GitLab-Last-Update"); v != "" {
		cl.told.value, cl.told.valueAt = v, now
	}
	if until, ok := waitTold(a, now); ok {
		cl.told.notBefore = until
	}
	if c.held == heldUntilChange {
		cl.told.woken = now
	}
}

// maxJobRequest is Workhorse's limit for the body of a job request.
const maxJobRequest = 32 << 10

// badJobRequest answers a job request whose body could not be decoded (14.5).
func (s *Server) badJobRequest(c *call) answer {
	if len(c.body) > maxJobRequest {
		s.violate(c, "14.5", "body of %d bytes, at most %d are taken", len(c.body), maxJobRequest)
		return refuse(http.StatusRequestEntityTooLarge, "Request Entity Too Large")
	}
	err := json.Unmarshal(c.body, &jobRequest{})
	if err != nil {
		s.violate(c, "14.5", "body is not JSON of the right shape: %v", err)
		return *badRequest("JSON: " + err.Error())
	}
	s.violate(c, "14.5", "token is missing in the body")
	return *badRequest("token is missing")
}
