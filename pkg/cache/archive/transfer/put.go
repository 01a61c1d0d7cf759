package transfer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"

	"github.com/runnerd/runnerd/pkg/cache/archive"
)

type sink struct {
	client  *Client
	urls    []string
	headers map[string]string
}

// Sink returns a Sink that has a presigned PUT for each segment. The headers
// are sent with each, as they are signed.
//
// Put has tried again what may have helped. It returns an [*Error], or the cause
// of ctx when that has ended.
func (c *Client) Sink(urls []string, headers map[string]string) archive.Sink {
	return &sink{client: c, urls: urls, headers: headers}
}

func (s *sink) Put(ctx context.Context, n int, body []byte, _ [32]byte) error {
	if n >= len(s.urls) {
		return &Error{Op: "put", Segment: n, Code: Internal, Err: fmt.Errorf("there are only %d URLs", len(s.urls))}
	}
	return s.client.repeat(ctx, "put", n, func(ctx context.Context, try int, moved func()) *failure {
		f := s.put(ctx, s.urls[n], body, try, moved)
		if f != nil && f.code == Conflict && try > 0 {
			return nil // an earlier try has written it, and its answer was lost
		}
		return f
	})
}

func (s *sink) put(ctx context.Context, url string, body []byte, try int, moved func()) *failure {
	// net/http may read on after it has returned, but the body is the caller's then.
	sending := &sending{rest: body, moved: func(n int) { moved(); s.client.sent.Add(int64(n)) }}
	defer sending.Close()
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, url, sending)
	if err != nil {
		return &failure{code: Internal, err: errNoURL} // err has the URL
	}
	req.ContentLength = int64(len(body))
	for name, value := range s.headers {
		req.Header.Set(name, value)
	}
	req.Header.Set("User-Agent", s.client.userAgent)
	if try > 0 {
		// A store that refuses may close the connection before it has read the body,
		// and then all that is seen is a reset. So the second time we ask first.
		req.Header.Set("Expect", "100-continue")
	}
	resp, err := s.client.http.Do(req)
	if err != nil {
		return broken(err)
	}
	defer resp.Body.Close()
	moved()
	if resp.StatusCode != http.StatusOK && resp.StatusCode != http.StatusCreated && resp.StatusCode != http.StatusNoContent {
		return refused(resp)
	}
	// Reading to the end makes the connection free for the next segment. The
	// store has the segment, whatever becomes of the rest of the answer.
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, maxErrorBody))
	return nil
}

// sending is a request's body. Nothing is read from it once it is closed.
type sending struct {
	mu    sync.Mutex
	rest  []byte
	moved func(n int)
	done  bool
}

var errDone = errors.New("the request has ended")

func (b *sending) Read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.done:
		return 0, errDone
	case len(b.rest) == 0:
		return 0, io.EOF
	}
	n := copy(p, b.rest)
	b.rest = b.rest[n:]
	b.moved(n)
	return n, nil
}

func (b *sending) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.done = true
	return nil
}
