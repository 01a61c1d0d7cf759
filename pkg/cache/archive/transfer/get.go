package transfer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"github.com/runnerd/runnerd/pkg/cache/archive"
)

// maxRedirects is how often a store may send us elsewhere for one segment.
const maxRedirects = 3

type source struct {
	client *Client
	urls   []string
}

// Source returns a Source that has a presigned GET for each segment.
//
// Get has tried again what may have helped. It returns an [*Error], or the cause
// of ctx when that has ended; the buffer then holds anything.
func (c *Client) Source(urls []string) archive.Source {
	return &source{client: c, urls: urls}
}

func (s *source) Get(ctx context.Context, n int, into []byte) error {
	if n >= len(s.urls) {
		return &Error{Op: "get", Segment: n, Code: Internal, Err: fmt.Errorf("there are only %d URLs", len(s.urls))}
	}
	return s.client.repeat(ctx, "get", n, func(ctx context.Context, _ int, moved func()) *failure {
		resp, f := s.client.open(ctx, s.urls[n])
		if f != nil {
			return f
		}
		defer resp.Body.Close()
		moved()
		return s.client.fill(into, resp, moved)
	})
}

// open sends a GET, to where the store redirects it if need be, and returns the
// answer if it is a 200.
func (c *Client) open(ctx context.Context, address string) (*http.Response, *failure) {
	for range maxRedirects + 1 {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
		if err != nil {
			return nil, &failure{code: Internal, err: errNoURL} // err has the URL
		}
		req.Header.Set("User-Agent", c.userAgent)
		resp, err := c.http.Do(req)
		if err != nil {
			return nil, broken(err)
		}
		if resp.StatusCode == http.StatusOK {
			return resp, nil
		}
		next, ok := redirected(req.URL, resp)
		if !ok {
			f := refused(resp)
			resp.Body.Close()
			return nil, f
		}
		resp.Body.Close()
		address = next
	}
	return nil, &failure{code: Internal, err: fmt.Errorf("more than %d redirects", maxRedirects)}
}

// redirected returns where resp sends the request from, if it does and if the
// way there is no less safe.
func redirected(from *url.URL, resp *http.Response) (string, bool) {
	switch resp.StatusCode {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
	default:
		return "", false
	}
	to, err := from.Parse(resp.Header.Get("Location"))
	if err != nil || resp.Header.Get("Location") == "" {
		return "", false
	}
	if to.Scheme != "https" && to.Scheme != from.Scheme {
		return "", false
	}
	return to.String(), true
}

// fill reads the body, which has to be as long as into.
func (c *Client) fill(into []byte, resp *http.Response, moved func()) *failure {
	if resp.ContentLength >= 0 && resp.ContentLength != int64(len(into)) {
		return wrongLength(resp.StatusCode, "%d bytes instead of %d", resp.ContentLength, len(into))
	}
	done := 0
	for done < len(into) {
		n, err := resp.Body.Read(into[done:])
		done += n
		if n > 0 {
			moved()
			c.received.Add(int64(n))
		}
		switch {
		case err == nil || done == len(into):
		case errors.Is(err, io.EOF):
			return wrongLength(resp.StatusCode, "only %d bytes of %d", done, len(into))
		default:
			return broken(err)
		}
	}
	var more [1]byte
	if n, _ := io.ReadFull(resp.Body, more[:]); n > 0 {
		return wrongLength(resp.StatusCode, "more than %d bytes", len(into))
	}
	return nil
}

func wrongLength(status int, format string, args ...any) *failure {
	return &failure{code: Corrupt, retry: true, status: status, err: fmt.Errorf("the object has "+format, args...)}
}
