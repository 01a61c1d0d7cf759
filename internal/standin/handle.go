package standin

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"
)

// An Endpoint names what a request is for.
type Endpoint string

// The endpoints.
const (
	AnyEndpoint       Endpoint = ""
	Register          Endpoint = "register"           // POST /runners
	Verify            Endpoint = "verify"             // POST /runners/verify
	Unregister        Endpoint = "unregister"         // DELETE /runners
	UnregisterManager Endpoint = "unregister manager" // DELETE /runners/managers
	ResetToken        Endpoint = "reset token"        // POST /runners[/:id]/reset_authentication_token
	Discovery         Endpoint = "discovery"          // GET /runners/router/discovery
	RequestJob        Endpoint = "request job"        // POST /jobs/request
	UpdateJob         Endpoint = "update job"         // PUT /jobs/:id
	PatchTrace        Endpoint = "patch trace"        // PATCH /jobs/:id/trace
	UploadArtifact    Endpoint = "upload artifact"    // POST /jobs/:id/artifacts
	DownloadArtifact  Endpoint = "download artifact"  // GET /jobs/:id/artifacts
	Storage           Endpoint = "storage"            // the object storage
	GitFetch          Endpoint = "git"                // git over HTTP
	ReadFacts         Endpoint = "read facts"         // GET /projects/:id/…, which is no part of the runner API

	unknownEndpoint Endpoint = "unknown"
)

// streams says whether the handler reads the request's body by itself.
func (e Endpoint) streams() bool { return e == UploadArtifact || e == GitFetch }

// maxBody bounds what is read of a request that no handler streams.
const maxBody = 64 << 20

// A call is one request while it is being handled.
type call struct {
	*http.Request
	endpoint Endpoint
	start    time.Time
	body     []byte      // unless the endpoint streams
	jobID    int64       // from the path; 0 without one
	job      *Job        // nil when there is no such job
	request  *jobRequest // of RequestJob, when it could be decoded
	update   *jobUpdate  // of UpdateJob, when it could be decoded
	client   *client     // of RequestJob, when it could be decoded
	held     held        // of RequestJob: how its hold ended
	leaving  []func()
}

// leave takes back what the call holds: its place among the requests in
// flight. It must happen before the client can read the answer.
func (c *call) leave() {
	for _, f := range c.leaving {
		f()
	}
	c.leaving = nil
}

// host is the address of the machine or pod that the request comes from.
func (c *call) host() string {
	host, _, err := net.SplitHostPort(c.RemoteAddr)
	if err != nil {
		return c.RemoteAddr
	}
	return host
}

type handler func(*call) answer

// handle makes an http.Handler of h, with everything around it that is the
// same for all endpoints: general checks, maintenance, faults, what the client
// has been told.
func (s *Server) handle(e Endpoint, h handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := &call{Request: r, endpoint: e, start: time.Now()}
		defer c.leave()
		s.arrive(c)
		a := s.process(c, h)
		a.cut = a.cut || r.Context().Err() != nil // nobody is there to read it
		if a.header == nil {
			a.header = http.Header{}
		}
		if a.header.Get("X-Request-Id") == "" {
			a.header.Set("X-Request-Id", orDefault(r.Header.Get("X-Request-Id"), randomHex(16)))
		}
		s.depart(c, a)
		c.leave()
		s.opts.Logf("%s %s -> %s (%s)", r.Method, r.URL.Path, describe(a), time.Since(c.start).Round(time.Millisecond))
		write(w, a)
	})
}

// arrive notes that a request is there, before its body is read.
func (s *Server) arrive(c *call) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen[c.endpoint]++
	id := c.PathValue("id")
	if id == "" || c.endpoint == ResetToken {
		return
	}
	c.jobID, _ = strconv.ParseInt(id, 10, 64) // 0 is nobody's id
	c.job = s.jobs[c.jobID]
	if c.job != nil && (c.endpoint == PatchTrace || c.endpoint == UpdateJob) {
		s.enterJob(c)
	}
}

func (s *Server) process(c *call, h handler) answer {
	if !c.endpoint.streams() {
		body, err := io.ReadAll(io.LimitReader(c.Body, maxBody))
		if err != nil {
			return answer{cut: true} // the client hung up
		}
		c.body = body
	}
	s.decode(c)
	s.checkGeneral(c)
	s.mu.Lock()
	maintenance := s.maintenance
	s.checkWait(c)
	s.mu.Unlock()
	if maintenance {
		return refuse(http.StatusTooManyRequests, "Too Many Requests").with("Retry-After", "60")
	}

	f, hit := s.faults.take(c)
	if hit {
		if a, done := f.before(c, s.closed); done {
			return a
		}
	}
	a, limited := s.rateLimit(c)
	if !limited {
		a = h(c)
	}
	if hit {
		a = f.after(a)
	}
	return a
}

// decode reads the bodies that faults and checks need to know. A body that
// cannot be decoded stays nil; the handler answers it.
func (s *Server) decode(c *call) {
	switch c.endpoint {
	case UpdateJob:
		u := &jobUpdate{}
		if json.Unmarshal(c.body, u) == nil {
			c.update = u
		}
	case RequestJob:
		q := &jobRequest{}
		if len(c.body) <= maxJobRequest && json.Unmarshal(c.body, q) == nil && q.Token != "" {
			c.request = q
			s.mu.Lock()
			s.enterClient(c)
			s.mu.Unlock()
		}
	}
}

// depart notes what the client is about to be told.
func (s *Server) depart(c *call, a answer) {
	if !a.delivered() || a.status >= 300 {
		s.requestIDs.retryable(c)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch c.endpoint {
	case PatchTrace, UpdateJob, UploadArtifact:
		if c.job != nil {
			c.job.hear(c, a)
		}
	case RequestJob:
		if c.client != nil {
			c.client.hear(c, a)
		}
	}
}

func (s *Server) unknown(c *call) answer {
	s.violate(c, "14", "there is no %s %s in GitLab's runner API", c.Method, c.URL.Path)
	return refuse(http.StatusNotFound, "Not Found")
}
