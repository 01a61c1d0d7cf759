package gitlab

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	api "gitlab.com/gitlab-org/api/client-go/v2"

	"github.com/runnerd/runnerd/pkg/job"
)

// FactsConfig says how GitLab is asked about jobs.
type FactsConfig struct {
	URL string // as in config.toml; a path prefix is kept

	// Token returns an access token with the scope read_api. It is called for
	// every question, because the file that the token is in may be replaced.
	Token func() (job.Secret, error)

	TLS       TLS
	UserAgent string // empty means "runnerd"

	// The questions are counted as this runner's.
	Metrics  *Metrics // may be nil
	Runner   job.Secret
	SystemID string

	// CacheFor is how long a project's list of protected branches, tags or
	// environments is used; 0 means 1 min. What is protected or unprotected in
	// GitLab takes effect here after so long.
	CacheFor time.Duration

	// Timeout bounds every question with all its requests; 0 means 10 s. A
	// context that ends sooner bounds several questions together.
	Timeout time.Duration
}

const (
	defaultCacheFor     = time.Minute
	defaultFactsTimeout = 10 * time.Second
	// maxPage is far above a page of any list.
	maxPage = 16 << 20
)

// Facts asks GitLab itself what a job's payload cannot vouch for. It is safe
// for concurrent use.
//
// It fails closed: an answer that did not come, was refused, is incomplete or
// odd is an error and never "no". A question is repeated within its Timeout
// when GitLab could not answer (see [Client]) or the network failed. Errors are
// not kept: the next job asks again, so that a token that has been put right,
// or a GitLab that is back, counts at once. Their texts are fit for a job's log
// and never hold the token.
type Facts struct {
	api       *api.Client
	token     func() (job.Secret, error)
	timeout   time.Duration
	transport pooled
	lists     *listCache
}

// A pooled is a transport that keeps connections.
type pooled interface {
	http.RoundTripper
	CloseIdleConnections()
}

// NewFacts sends nothing; a URL or a TLS file that cannot be used is an error,
// and so is a missing Token.
func NewFacts(c FactsConfig) (*Facts, error) {
	base, err := baseURL(c.URL)
	if err != nil {
		return nil, err
	}
	transport, err := newAgingTransport(c.TLS, base.Hostname(), 0)
	if err != nil {
		return nil, fmt.Errorf("gitlab: %s: %w", base, err)
	}
	return newFacts(c, base, transport)
}

func newFacts(c FactsConfig, base *url.URL, transport pooled) (*Facts, error) {
	if c.Token == nil {
		return nil, fmt.Errorf("gitlab: %s: no token to ask about jobs; give one with scope read_api", base)
	}
	f := &Facts{token: c.Token, timeout: c.Timeout, transport: transport}
	if f.timeout <= 0 {
		f.timeout = defaultFactsTimeout
	}
	if c.CacheFor <= 0 {
		c.CacheFor = defaultCacheFor
	}
	if c.UserAgent == "" {
		c.UserAgent = "runnerd"
	}
	var err error
	watch := c.Metrics.observer(c.Runner, c.SystemID)
	asking := &http.Client{
		Transport:     &observedTransport{&retryTransport{base: transport, observer: watch}, watch},
		CheckRedirect: stayOnHost,
	}
	f.api, err = newAPI(base, asking, c.UserAgent)
	if err != nil {
		return nil, fmt.Errorf("gitlab: %s: %w", base, err)
	}
	f.lists = newListCache(c.CacheFor, f.list)
	return f, nil
}

// Close ends what is still being asked, waits for it, and closes idle
// connections. Whoever asks for a protected thing from then on gets an error.
func (f *Facts) Close() {
	f.lists.close()
	f.transport.CloseIdleConnections()
}

// stayOnHost follows no redirect to elsewhere: what another host says of a job
// is not a fact, whoever sent us there.
func stayOnHost(req *http.Request, via []*http.Request) error {
	first := via[0].URL
	if req.URL.Hostname() != first.Hostname() || first.Scheme == "https" && req.URL.Scheme != "https" {
		return http.ErrUseLastResponse
	}
	return checkRedirect(req, via)
}

// limit gives a question its time.
func (f *Facts) limit(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, f.timeout, fmt.Errorf("no answer within %s: %w", f.timeout, context.DeadlineExceeded))
}

// A question is a GET before it is sent.
type question struct {
	op      string
	role    string     // who may ask it
	token   job.Secret // sent as the header PRIVATE-TOKEN
	options []api.RequestOptionFunc
}

// question reads the token. path is below /api/v4/, for messages only.
func (f *Facts) question(ctx context.Context, role, path string) (question, error) {
	q := question{op: "GET /api/v4/" + path, role: role}
	token, err := f.token()
	if err != nil {
		return q, fmt.Errorf("gitlab: %s: token: %w", q.op, err)
	}
	q.token = job.Secret(strings.TrimSpace(token.Reveal()))
	if q.token == "" {
		return q, fmt.Errorf("gitlab: %s: the token is empty; put one with scope read_api where it is read from", q.op)
	}
	ctx = withDelivery(ctx, delivery{reads: true, maxBody: maxPage})
	q.options = []api.RequestOptionFunc{api.WithContext(ctx), api.WithHeader(privateToken, q.token.Reveal())}
	return q, nil
}

// failed makes an error of what client-go returns. A refusal is a
// [*StatusError], with what to do about it.
func (q question) failed(resp *api.Response, err error) error {
	switch {
	case resp == nil:
		err = fmt.Errorf("gitlab: %s: %w", q.op, withoutURL(err))
	case resp.StatusCode < 300:
		err = fmt.Errorf("gitlab: %s: read answer: %w", q.op, err)
	default:
		err = q.refused(statusError(q.op, refusal(resp, err), q.token))
	}
	if text := masked(err.Error(), []job.Secret{q.token}); text != err.Error() {
		return errors.New(text)
	}
	return err
}

func (q question) refused(e *StatusError) error {
	switch e.Status {
	case http.StatusUnauthorized:
		return fmt.Errorf("%w: the token is not valid (any more); put a new one where it is read from", e)
	case http.StatusForbidden, http.StatusNotFound:
		return fmt.Errorf("%w: the token's user may not read this, if it exists; give the token scope read_api, and its user at least the role %s in the project", e, q.role)
	}
	return e
}
