package gitlab

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"io"
	"math"
	mathrand "math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// A delivery says how a call is sent.
type delivery struct {
	attempts int              // 0 means maxAttempts
	timeout  time.Duration    // of one attempt; 0 means defaultTimeout
	arrived  func(status int) // called when an answer's header is there; may be nil
	maxBody  int64            // bytes of an answer that are read; 0 means all

	// reads says that the call changes nothing and that somebody waits for it:
	// it is repeated after a network error too, and no attempt is waited for
	// that could only begin after the context's deadline.
	reads bool
}

const (
	maxAttempts    = 5
	defaultTimeout = 2 * time.Minute

	minRetryWait = 100 * time.Millisecond
	maxRetryWait = time.Minute
	// maxToldWait bounds what a server may ask for; beyond it is a mistake.
	maxToldWait = time.Hour
)

type deliveryKey struct{}

func withDelivery(ctx context.Context, d delivery) context.Context {
	return context.WithValue(ctx, deliveryKey{}, d)
}

func deliveryFrom(ctx context.Context) delivery {
	d, _ := ctx.Value(deliveryKey{}).(delivery)
	if d.attempts == 0 {
		d.attempts = maxAttempts
	}
	if d.timeout == 0 {
		d.timeout = defaultTimeout
	}
	return d
}

// A retryTransport is the one layer that repeats a call that GitLab could not
// answer (408, 429, most of 5xx). After the last attempt the caller gets the
// last answer. Network errors are not repeated here, unless the call only reads:
// whether the server has acted is unknown, and only the caller can find out.
type retryTransport struct {
	base     http.RoundTripper
	observer observer
}

func (t *retryTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	how := deliveryFrom(req.Context())
	for attempt := 1; ; attempt++ {
		t.observer.attempt(req.Method, req.URL.Path)
		resp, err := t.attempt(req, how)
		wait, again := how.pause(req.Context(), attempt, resp, err)
		if !again {
			if err == nil && how.arrived != nil {
				how.arrived(resp.StatusCode)
			}
			return resp, err
		}
		if err == nil {
			_, _ = io.Copy(io.Discard, resp.Body)
			_ = resp.Body.Close()
		}
		if err := sleep(req.Context(), wait); err != nil {
			return nil, err
		}
	}
}

// pause returns how long to wait for the next attempt, if there is to be one.
func (d delivery) pause(ctx context.Context, attempt int, resp *http.Response, err error) (time.Duration, bool) {
	wait := jitteredWait(attempt)
	switch {
	case attempt >= d.attempts, err != nil && !d.reads, err == nil && !retryable(resp.StatusCode):
		return 0, false
	case err == nil:
		if told := toldWait(resp.Header, time.Now()); told > 0 {
			wait = told
		}
	}
	if deadline, ok := ctx.Deadline(); d.reads && (ctx.Err() != nil || ok && time.Until(deadline) < wait) {
		return 0, false
	}
	return wait, true
}

// attempt sends the request once, under its own id and its own deadline.
func (t *retryTransport) attempt(req *http.Request, how delivery) (*http.Response, error) {
	ctx, cancel := context.WithTimeout(req.Context(), how.timeout)
	once := req.Clone(ctx)
	once.Header.Set("X-Request-Id", requestID())
	if req.GetBody != nil {
		body, err := req.GetBody()
		if err != nil {
			cancel()
			return nil, err
		}
		once.Body = body
	}
	resp, err := t.base.RoundTrip(once)
	if err != nil {
		cancel()
		return nil, err
	}
	body, most := resp.Body, how.maxBody
	if resp.StatusCode >= 300 {
		most = 64 << 10 // an error page says enough in its beginning
	}
	read := io.Reader(body)
	if most > 0 {
		read = io.LimitReader(body, most)
	}
	resp.Body = &answerBody{Reader: read, body: body, cancel: cancel}
	return resp, nil
}

// An answerBody ends the attempt's context when it is closed.
type answerBody struct {
	io.Reader
	body   io.Closer
	cancel context.CancelFunc
}

func (b *answerBody) Close() error {
	defer b.cancel()
	return b.body.Close()
}

func retryable(status int) bool {
	switch status {
	case http.StatusRequestTimeout, http.StatusTooManyRequests, http.StatusInternalServerError,
		http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return status >= 512
}

// toldWait returns how long the server asks to wait, 0 when it does not say.
func toldWait(h http.Header, now time.Time) time.Duration {
	if at, err := time.Parse(time.RFC1123, h.Get("RateLimit-ResetTime")); err == nil && at.After(now) {
		return min(at.Sub(now), maxToldWait)
	}
	text := strings.TrimSpace(h.Get("Retry-After"))
	if seconds, err := strconv.Atoi(text); err == nil && seconds > 0 {
		return min(time.Duration(min(seconds, math.MaxInt32))*time.Second, maxToldWait)
	}
	if at, err := http.ParseTime(text); err == nil && at.After(now) {
		return min(at.Sub(now), maxToldWait)
	}
	return 0
}

// jitteredWait doubles from 100 ms; half of it is random, so that many daemons
// do not come back at the same moment.
func jitteredWait(attempt int) time.Duration {
	full := min(minRetryWait<<(attempt-1), maxRetryWait)
	return full/2 + mathrand.N(full/2+1)
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// requestID is a random UUID without dashes.
func requestID() string {
	var id [16]byte
	_, _ = rand.Read(id[:])
	id[6] = id[6]&0x0f | 0x40
	id[8] = id[8]&0x3f | 0x80
	return hex.EncodeToString(id[:])
}
