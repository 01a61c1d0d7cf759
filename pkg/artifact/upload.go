package artifact

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/runnerd/runnerd/pkg/cache/archive/tree"
	"github.com/runnerd/runnerd/pkg/confine"
	"github.com/runnerd/runnerd/pkg/httpwait"
)

// An Upload is one artifact to be sent.
type Upload struct {
	JobID    int64
	Token    string
	FileName string       // see [FileName]
	Type     string       // GitLab's; empty: archive
	Format   string       // Zip, Gzip or Raw
	Implied  bool         // GitLab has named no format, and is told none
	ExpireIn string       // as GitLab has sent it; empty: the instance's default
	Level    string       // fastest, fast, default, slow or slowest
	Entries  []tree.Entry // that [Check] has found right

	Provenance *Provenance // for a zip archive: put into it; nil: nothing is
}

// Sent tells of an artifact that GitLab has.
type Sent struct {
	Bytes int64 // of the last sending
	Files int
	Notes []string // files that changed or went away, for the job's author
}

// How often an artifact is sent.
const (
	uploadTries     = 3
	uploadTriesBusy = 6 // when the last answer was 503: the object storage may come back
)

// errUploadTimeout ends one sending.
var errUploadTimeout = errors.New("sending it took too long (upload_timeout in [runners.artifact])")

// Upload sends an artifact, as often as may help. What it returns beside an
// error holds the notes only.
func (c *Client) Upload(ctx context.Context, root *confine.Root, u Upload) (Sent, error) {
	s := &sending{client: c, root: root, Upload: u, base: c.api}
	for try := 1; ; try++ {
		moved, err := s.try(ctx)
		tries := uploadTries
		var status *StatusError
		if errors.As(err, &status) && status.Status == http.StatusServiceUnavailable {
			tries = uploadTriesBusy
		}
		var local *localError
		switch {
		case err == nil && !moved:
			s.sent.Notes = s.notes.all()
			return s.sent, nil
		case ctx.Err() != nil:
			return Sent{Notes: s.notes.all()}, context.Cause(ctx)
		case isFatal(err), errors.As(err, &local), try >= tries:
			if err == nil {
				err = errors.New("GitLab sends the upload from host to host")
			}
			return Sent{Notes: s.notes.all()}, err
		case moved:
			c.options.Note("GitLab wants it sent to " + s.base.Host)
			continue
		}
		pause := c.options.Pause(try)
		c.options.Note(fmt.Sprintf("Uploading %s failed: %v; trying again in %s", u.FileName, err, pause))
		if err := httpwait.Sleep(ctx, pause); err != nil {
			return Sent{Notes: s.notes.all()}, err
		}
	}
}

// A sending is an upload on its way.
type sending struct {
	Upload
	client *Client
	root   *confine.Root
	base   *url.URL // of the API; GitLab may move it
	notes  notes
	sent   Sent
}

// try sends the artifact, and again while GitLab cannot answer. moved says that
// it is to be sent to another host.
func (s *sending) try(ctx context.Context) (moved bool, err error) {
	for attempt := 1; ; attempt++ {
		a, err := s.attempt(ctx)
		if err != nil {
			return false, err
		}
		if !httpwait.Retryable(a.status) || attempt == httpwait.Attempts {
			return s.judge(a)
		}
		wait := httpwait.Told(a.header, time.Now())
		if wait == 0 {
			wait = s.client.options.Backoff(attempt)
		}
		if err := httpwait.Sleep(ctx, wait); err != nil {
			return false, err
		}
	}
}

// judge says what an answer means.
func (s *sending) judge(a *answer) (moved bool, err error) {
	refused := &StatusError{Status: a.status, Said: a.said}
	switch a.status {
	case http.StatusCreated:
		return false, nil
	case http.StatusTemporaryRedirect:
		if base := s.elsewhere(a.location); base != nil {
			s.base = base
			return true, nil
		}
		refused.Meaning = "GitLab sends the upload to a place that cannot be used"
		refused.Fatal = true
	case http.StatusForbidden:
		refused.Meaning, refused.Fatal = "permission denied: the job is not running any more, or its token is not valid", true
	case http.StatusRequestEntityTooLarge:
		refused.Meaning, refused.Fatal = "too large archive: GitLab's limit for artifacts is lower", true
	case http.StatusMethodNotAllowed:
		refused.Meaning = "artifacts are disabled on the server"
	case http.StatusUnauthorized:
		refused.Meaning = "not authorized"
	}
	return false, refused
}

// elsewhere returns the API at the host that GitLab names, or nil: the token
// does not go over a connection that is less safe than the one to GitLab.
func (s *sending) elsewhere(location *url.URL) *url.URL {
	if location == nil || location.Host == "" || s.base.Scheme == "https" && location.Scheme != "https" {
		return nil
	}
	base := &url.URL{Scheme: location.Scheme, Host: location.Host}
	return base.JoinPath("api/v4/")
}

func (s *sending) query() url.Values {
	query := url.Values{}
	set := func(key, value string) {
		if value != "" {
			query.Set(key, value)
		}
	}
	set("expire_in", s.ExpireIn)
	set("artifact_type", s.Type)
	if !s.Implied {
		set("artifact_format", s.Format)
	}
	return query
}

// attempt sends the artifact once, made anew.
func (s *sending) attempt(ctx context.Context) (*answer, error) {
	ctx, release := context.WithTimeoutCause(ctx, s.client.options.UploadTimeout, errUploadTimeout)
	defer release()
	body := s.body(ctx)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, of(s.base, s.JobID, s.query()), body.pipe)
	if err != nil {
		_, _ = body.end() // nothing was sent
		return nil, err
	}
	s.client.headers(req, s.Token)
	req.Header.Set("Content-Type", body.contentType)
	// A server that refuses can do so before the body is on its way.
	req.Header.Set("Expect", "100-continue")
	resp, err := s.client.http.Do(req)
	var a *answer
	if err == nil {
		a = read(resp)
	}
	release() // of the connection, if the answer came before the end of the body
	complete, local := body.end()
	switch {
	case local != nil:
		return nil, local
	case err != nil && ctx.Err() != nil && errors.Is(context.Cause(ctx), errUploadTimeout):
		return nil, errUploadTimeout
	case err != nil:
		return nil, plainly(err)
	case a.status == http.StatusCreated && !complete:
		return nil, errors.New("GitLab answered before it had all of the artifact")
	}
	s.sent.Bytes, s.sent.Files = body.bytes, body.files
	return a, nil
}
