package gitlab

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// A script answers requests one after the other, without a network.
type script struct {
	t       *testing.T
	answers []*http.Response // nil: a network error
	at      []time.Time
	ids     map[string]bool
}

var errNetwork = errors.New("connection reset")

func (s *script) RoundTrip(r *http.Request) (*http.Response, error) {
	body, _ := io.ReadAll(r.Body)
	if string(body) != "hello" {
		s.t.Errorf("body %q, want it whole in every attempt", body)
	}
	id := r.Header.Get("X-Request-Id")
	if s.ids == nil {
		s.ids = map[string]bool{}
	}
	if id == "" || s.ids[id] {
		s.t.Errorf("X-Request-Id %q is not new", id)
	}
	s.ids[id] = true
	s.at = append(s.at, time.Now())
	next := s.answers[min(len(s.at), len(s.answers))-1]
	if next == nil {
		return nil, errNetwork
	}
	return next, nil
}

func answerOf(code int, header ...string) *http.Response {
	r := &http.Response{StatusCode: code, Header: http.Header{}, Body: io.NopCloser(strings.NewReader("x"))}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	return r
}

func post(ctx context.Context, t *testing.T, rt http.RoundTripper) (*http.Response, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://gitlab.example.com/x", bytes.NewReader([]byte("hello")))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := rt.RoundTrip(req)
	if err == nil {
		_ = resp.Body.Close()
	}
	return resp, err
}

func TestRetry(t *testing.T) {
	tests := []struct {
		name     string
		answers  []*http.Response
		status   int
		attempts int
		least    time.Duration // all waits together
		most     time.Duration
	}{
		{name: "first answer is good", answers: []*http.Response{answerOf(200)}, status: 200, attempts: 1},
		{name: "403 is an answer", answers: []*http.Response{answerOf(403)}, status: 403, attempts: 1},
		{name: "501 is an answer", answers: []*http.Response{answerOf(501)}, status: 501, attempts: 1},
		{name: "third is good", answers: []*http.Response{answerOf(500), answerOf(408), answerOf(202)}, status: 202, attempts: 3, least: 150 * time.Millisecond, most: 300 * time.Millisecond},
		{name: "never", answers: []*http.Response{answerOf(521)}, status: 521, attempts: 5, least: 750 * time.Millisecond, most: 1500 * time.Millisecond},
		{name: "told in seconds", answers: []*http.Response{answerOf(429, "Retry-After", "60"), answerOf(200)}, status: 200, attempts: 2, least: time.Minute, most: time.Minute},
		{name: "told a time", answers: []*http.Response{answerOf(503, "RateLimit-ResetTime", "Sat, 01 Jan 2000 00:00:30 UTC", "Retry-After", "5"), answerOf(200)}, status: 200, attempts: 2, least: 30 * time.Second, most: 30 * time.Second},
		{name: "told a time that is over", answers: []*http.Response{answerOf(503, "RateLimit-ResetTime", "Fri, 31 Dec 1999 00:00:00 UTC", "Retry-After", "5"), answerOf(200)}, status: 200, attempts: 2, least: 5 * time.Second, most: 5 * time.Second},
		{name: "network error", answers: []*http.Response{nil}, attempts: 1},
		{name: "network error after a 500", answers: []*http.Response{answerOf(500), nil}, attempts: 2, least: 50 * time.Millisecond, most: 100 * time.Millisecond},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &script{t: t, answers: tt.answers}
				begin := time.Now()
				resp, err := post(t.Context(), t, &retryTransport{base: s})
				if (err != nil) != (tt.status == 0) || (err == nil && resp.StatusCode != tt.status) {
					t.Errorf("got %v, %v; want status %d", resp, err, tt.status)
				}
				if len(s.at) != tt.attempts {
					t.Errorf("%d attempts, want %d", len(s.at), tt.attempts)
				}
				if took := time.Since(begin); took < tt.least || took > tt.most {
					t.Errorf("took %s, want %s to %s", took, tt.least, tt.most)
				}
			})
		})
	}
}

func TestRetryWaitEndsWithTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		begin := time.Now()
		s := &script{t: t, answers: []*http.Response{answerOf(429, "Retry-After", "60")}}
		if _, err := post(ctx, t, &retryTransport{base: s}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error %v, want the context's", err)
		}
		if took := time.Since(begin); took != time.Second {
			t.Errorf("took %s, want 1s", took)
		}
	})
}

func TestRedirects(t *testing.T) {
	request := func(method, url string) *http.Request {
		r, err := http.NewRequest(method, url, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set(jobToken, "t")
		return r
	}
	tests := []struct {
		from, to *http.Request
		follow   bool
		token    bool
	}{
		{request("GET", "https://a/x"), request("GET", "https://a/y"), true, true},
		{request("GET", "https://a/x"), request("GET", "https://storage/y"), true, false},
		{request("PUT", "http://a/x"), request("PUT", "https://a/x"), true, true},
		{request("PUT", "https://a/x"), request("PUT", "http://a/x"), false, true},
		{request("PUT", "https://a/x"), request("PUT", "https://b/x"), false, true},
		{request("POST", "https://a/x"), request("GET", "https://a/login"), false, true},
	}
	for _, tt := range tests {
		err := checkRedirect(tt.to, []*http.Request{tt.from})
		if (err == nil) != tt.follow || (tt.to.Header.Get(jobToken) != "") != tt.token {
			t.Errorf("%s %s to %s %s: error %v, token kept %v", tt.from.Method, tt.from.URL, tt.to.Method, tt.to.URL, err, tt.to.Header.Get(jobToken) != "")
		}
	}
}
