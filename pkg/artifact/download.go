package artifact

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"sync/atomic"
	"time"

	"github.com/runnerd/runnerd/pkg/httpwait"
)

// A Download is the artifacts of one earlier job.
type Download struct {
	JobID  int64
	Token  string
	Direct bool // the object storage may send them, at the first try
}

const (
	downloadTries = 3
	maxHops       = 10
)

var (
	errDownloadTimeout = fmt.Errorf("fetching it took longer than %s", downloadTimeout)
	errHops            = fmt.Errorf("more than %d redirects", maxHops)
)

// Download writes the archive of d to file, which it may write again from its
// beginning, and returns its size.
func (c *Client) Download(ctx context.Context, d Download, file *os.File) (int64, error) {
	for try := 1; ; try++ {
		n, err := c.fetch(ctx, d, d.Direct && try == 1, file)
		var local *localError
		switch {
		case err == nil:
			return n, nil
		case ctx.Err() != nil:
			return 0, context.Cause(ctx)
		case isFatal(err), errors.As(err, &local), try == downloadTries:
			return 0, err
		}
		c.options.Note(fmt.Sprintf("Fetching the artifacts of job %d failed: %v; trying again", d.JobID, err))
		if err := httpwait.Sleep(ctx, c.options.Pause(1)); err != nil { // always the same
			return 0, err
		}
	}
}

// fetch is one try.
func (c *Client) fetch(ctx context.Context, d Download, direct bool, file *os.File) (int64, error) {
	ctx, release := context.WithTimeoutCause(ctx, downloadTimeout, errDownloadTimeout)
	defer release()
	query := url.Values{}
	if direct {
		query.Set("direct_download", "true")
	}
	target, token := of(c.api, d.JobID, query), d.Token
	for range maxHops {
		resp, err := c.get(ctx, target, token)
		if err != nil {
			return 0, err
		}
		switch resp.StatusCode {
		case http.StatusOK:
			return c.spool(file, resp)
		case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
			a := read(resp)
			if a.location == nil {
				return 0, errors.New("GitLab sends the request to a place that cannot be used")
			}
			// A presigned URL needs no token, and its host must not see one.
			target, token = a.location.String(), ""
		default:
			return 0, denied(read(resp), token != "")
		}
	}
	return 0, errHops
}

// denied says what an answer means. Only what GitLab itself refuses is final:
// where the object storage does, the next try goes through GitLab.
func denied(a *answer, byGitLab bool) error {
	err := &StatusError{Status: a.status, Said: a.said}
	switch {
	case !byGitLab:
		err.Meaning = "the object storage refuses"
	case a.status == http.StatusUnauthorized, a.status == http.StatusForbidden:
		err.Meaning, err.Fatal = "permission denied: this job may not read them, or is not running any more", true
	case a.status == http.StatusNotFound:
		err.Meaning, err.Fatal = "not found: they have expired or were erased; run the job again that makes them", true
	}
	return err
}

// get asks, and again while the server cannot answer. The caller closes the
// body of the answer.
func (c *Client) get(ctx context.Context, target, token string) (*http.Response, error) {
	for attempt := 1; ; attempt++ {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, target, http.NoBody)
		if err != nil {
			return nil, plainly(err)
		}
		c.headers(req, token)
		resp, err := c.http.Do(req)
		if err != nil {
			return nil, plainly(err)
		}
		if !httpwait.Retryable(resp.StatusCode) || attempt == httpwait.Attempts {
			return resp, nil
		}
		wait := httpwait.Told(read(resp).header, time.Now())
		if wait == 0 {
			wait = c.options.Backoff(attempt)
		}
		if err := httpwait.Sleep(ctx, wait); err != nil {
			return nil, err
		}
	}
}

// spool writes the body of an answer to file.
func (c *Client) spool(file *os.File, resp *http.Response) (int64, error) {
	defer resp.Body.Close()
	if err := file.Truncate(0); err != nil {
		return 0, &localError{err}
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return 0, &localError{err}
	}
	stored := &keeper{file: file, all: &c.received}
	n, err := io.CopyBuffer(stored, struct{ io.Reader }{resp.Body}, make([]byte, readBytes))
	switch {
	case stored.err != nil:
		return 0, &localError{fmt.Errorf("store the archive: %w", stored.err)}
	case err != nil:
		return 0, fmt.Errorf("the archive did not arrive as a whole: %w", err)
	}
	return n, nil
}

// A keeper counts what it stores, and remembers an error of its file.
type keeper struct {
	file *os.File
	err  error
	all  *atomic.Int64 // that a client has stored
}

func (k *keeper) Write(p []byte) (int, error) {
	n, err := k.file.Write(p)
	k.err = err
	k.all.Add(int64(n))
	return n, err
}
