package gitlab

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"io"
	"net/http"
	"time"

	"github.com/runnerd/runnerd/pkg/httpwait"
)

// A delivery says how a call is sent.
type delivery struct {
	attempts int           // 0 means httpwait.Attempts
	timeout  time.Duration // of one attempt; 0 means defaultTimeout
	maxBody  int64         // bytes of an answer that are read; 0 means all

	// reads says that the call changes nothing and that somebody waits for it:
	// it is repeated after a network error too, and no attempt is waited for
	// that could only begin after the context's deadline.
	reads bool
}

const defaultTimeout = 2 * time.Minute

type deliveryKey struct{}

func withDelivery(ctx context.Context, d delivery) context.Context {
	return context.WithValue(ctx, deliveryKey{}, d)
}

func deliveryFrom(ctx context.Context) delivery {
	d, _ := ctx.Value(deliveryKey{}).(delivery)
	if d.attempts == 0 {
		d.attempts = httpwait.Attempts
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
			return resp, err
		}
		if err == nil {
			_, _ = io.Copy(io.Discard, resp.Body)
			_ = resp.Body.Close()
		}
		if err := httpwait.Sleep(req.Context(), wait); err != nil {
			return nil, err
		}
	}
}

// pause returns how long to wait for the next attempt, if there is to be one.
func (d delivery) pause(ctx context.Context, attempt int, resp *http.Response, err error) (time.Duration, bool) {
	wait := httpwait.Backoff(attempt)
	switch {
	case attempt >= d.attempts, err != nil && !d.reads, err == nil && !httpwait.Retryable(resp.StatusCode):
		return 0, false
	case err == nil:
		if told := httpwait.Told(resp.Header, time.Now()); told > 0 {
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

// requestID is a random UUID without dashes.
func requestID() string {
	var id [16]byte
	_, _ = rand.Read(id[:])
	id[6] = id[6]&0x0f | 0x40
	id[8] = id[8]&0x3f | 0x80
	return hex.EncodeToString(id[:])
}
