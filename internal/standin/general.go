package standin

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// violate records what is wrong with a request. It may be called with or
// without s.mu held.
func (s *Server) violate(c *call, point, format string, args ...any) {
	s.violations.add(Violation{
		Time:    c.start,
		Point:   point,
		Text:    fmt.Sprintf(format, args...),
		Job:     c.jobID,
		Request: c.Method + " " + c.URL.RequestURI(),
	})
}

// checkGeneral checks what holds for every API request: tokens stay out of
// URLs (14.4) and the headers are there (14.36).
func (s *Server) checkGeneral(c *call) {
	s.checkURL(c)
	if c.endpoint == Storage || c.endpoint == GitFetch || c.endpoint == unknownEndpoint {
		return
	}
	if ua := c.UserAgent(); ua == "" || strings.HasPrefix(ua, "Go-http-client/") {
		s.violate(c, "14.36", "User-Agent is %q; send the product's name and version", ua)
	}
	switch c.endpoint {
	case Register, Verify, ResetToken, RequestJob:
		if a := c.Header.Get("Accept"); !strings.Contains(a, "application/json") && !strings.Contains(a, "*/*") {
			s.violate(c, "14.36", "Accept is %q; a JSON answer is expected, so send application/json", a)
		}
	}
	s.checkContentType(c)
	if !s.requestIDs.fresh(c) {
		s.violate(c, "14.36", "X-Request-Id %q was used before; make one for every request", c.Header.Get("X-Request-Id"))
	}
}

func (s *Server) checkContentType(c *call) {
	want := "application/json"
	switch c.endpoint {
	case UploadArtifact:
		want = "multipart/form-data"
	case PatchTrace:
		want = "text/plain"
	default:
		if len(c.body) == 0 {
			return
		}
	}
	header := c.Header.Get("Content-Type")
	got, _, err := mime.ParseMediaType(header)
	form := c.endpoint != RequestJob && c.endpoint != UpdateJob && got == formType
	if err != nil || got != want && !(want == "application/json" && form) {
		s.violate(c, "14.36", "Content-Type is %q, want %s", header, want)
	}
}

// checkURL looks for tokens where proxies log them.
func (s *Server) checkURL(c *call) {
	query := c.URL.Query()
	s.mu.Lock()
	defer s.mu.Unlock()
	if slices.ContainsFunc(strings.Split(c.URL.Path, "/"), s.isToken) {
		s.violations.add(Violation{
			Time: c.start, Point: "14.4", Job: c.jobID, Request: c.Method,
			Text: "a token is in the URL, as part of the path; send it in a header",
		})
	}
	for key, values := range query {
		for _, v := range values {
			if s.isToken(v) {
				s.violations.add(Violation{
					Time: c.start, Point: "14.4", Job: c.jobID, Request: c.Method + " " + c.URL.Path,
					Text: fmt.Sprintf("a token is in the URL, as query parameter %q; send it in the body and in a header", key),
				})
			}
		}
	}
}

func (s *Server) isToken(v string) bool {
	if slices.Contains(s.opts.RegistrationTokens, v) || slices.Contains(s.tokens, v) {
		return true
	}
	if s.runnerByToken(v) != nil {
		return true
	}
	for _, j := range s.jobs {
		if v == j.token {
			return true
		}
	}
	return false
}

// checkWait checks that the client did not come back sooner than the last
// answer told it to (14.9, 14.17). s.mu is held.
func (s *Server) checkWait(c *call) {
	point, until := "14.9", time.Time{}
	switch {
	case c.job != nil && c.endpoint != DownloadArtifact:
		until = c.job.told.notBefore[c.endpoint]
		if c.endpoint == UpdateJob && c.job.handshakes > 0 {
			point = "14.17"
		}
	case c.client != nil && s.opts.RequestConcurrency == 1:
		until = c.client.told.notBefore
	}
	if early := until.Sub(c.start); early > s.opts.Tolerance {
		s.violate(c, point, "came %s too early; the last answer said to wait", early.Round(time.Millisecond))
	}
}

// waitTold returns until when an answer says that the client has to wait.
func waitTold(a answer, now time.Time) (time.Time, bool) {
	switch {
	case a.status != http.StatusTooManyRequests && a.status != http.StatusRequestTimeout && a.status < 500:
		return time.Time{}, false
	case a.header.Get("RateLimit-ResetTime") != "":
		t, err := http.ParseTime(a.header.Get("RateLimit-ResetTime"))
		return t, err == nil && t.After(now)
	default:
		n, err := strconv.Atoi(a.header.Get("Retry-After"))
		return now.Add(time.Duration(n) * time.Second), err == nil
	}
}

// requestIDs remembers X-Request-Id headers. One may come again when the same
// request is sent again.
type requestIDs struct {
	mu   sync.Mutex
	seen map[string]string // to method and path
}

func (r *requestIDs) fresh(c *call) bool {
	id := c.Header.Get("X-Request-Id")
	if id == "" {
		return true
	}
	request := c.Method + " " + c.URL.Path
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.seen == nil {
		r.seen = map[string]string{}
	}
	before, ok := r.seen[id]
	r.seen[id] = request
	return !ok || before == request+" retry"
}

// retryable says that the client may send the same request again.
func (r *requestIDs) retryable(c *call) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if id := c.Header.Get("X-Request-Id"); r.seen[id] != "" {
		r.seen[id] = c.Method + " " + c.URL.Path + " retry"
	}
}

func randomHex(n int) string {
	b := make([]byte, n)
	rand.Read(b) // never fails
	return hex.EncodeToString(b)
}
