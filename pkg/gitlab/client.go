package gitlab

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	retryablehttp "github.com/hashicorp/go-retryablehttp"
	api "gitlab.com/gitlab-org/api/client-go/v2"
	"golang.org/x/time/rate"

	"github.com/runnerd/runnerd/pkg/job"
)

// A Config says which GitLab a [Client] talks to, and as whom.
type Config struct {
	URL      string     // as in config.toml; a path prefix is kept
	Token    job.Secret // runner authentication token; may be empty for Register
	SystemID string     // see [LoadSystemID]
	Info     Info
	TLS      TLS

	// ConnectionMaxAge bounds how long connections are used, so that a change
	// of DNS, of a certificate or of a load balancer is noticed. 0 means 15 min.
	ConnectionMaxAge time.Duration

	Metrics *Metrics // may be nil
}

// A Client is one runner manager at one GitLab. It is safe for concurrent use.
type Client struct {
	cfg       Config
	api       *api.Client
	transport *agingTransport
	observer  observer
}

// New returns a client. It sends nothing; a URL or a TLS file that cannot be
// used is an error.
func New(cfg Config) (*Client, error) {
	base, err := baseURL(cfg.URL)
	if err != nil {
		return nil, err
	}
	transport, err := newAgingTransport(cfg.TLS, base.Hostname(), cfg.ConnectionMaxAge)
	if err != nil {
		return nil, fmt.Errorf("gitlab: %s: %w", base, err)
	}
	watch := cfg.Metrics.observer(cfg.Token, cfg.SystemID)
	c, err := newAPI(base, &http.Client{
		Transport:     &retryTransport{base: transport, observer: watch},
		CheckRedirect: checkRedirect,
	}, cfg.Info.userAgent())
	if err != nil {
		return nil, fmt.Errorf("gitlab: %s: %w", base, err)
	}
	return &Client{cfg: cfg, api: c, transport: transport, observer: watch}, nil
}

// newAPI returns GitLab's client with everything off that would delay or repeat
// calls: that is the business of the HTTP client below it.
func newAPI(base *url.URL, c *http.Client, userAgent string) (*api.Client, error) {
	return api.NewAuthSourceClient(api.Unauthenticated{},
		api.WithBaseURL(base.String()),
		api.WithHTTPClient(c),
		// The limiter that client-go makes from a RateLimit header would delay
		// all jobs for one; the retry layer listens to GitLab instead.
		api.WithCustomLimiter(rate.NewLimiter(rate.Inf, 0)),
		api.WithCustomRetryMax(0),
		api.WithCustomRetry(func(context.Context, *http.Response, error) (bool, error) { return false, nil }),
		api.WithUserAgent(userAgent),
		api.WithURLWarningLogger(slog.New(slog.DiscardHandler)),
	)
}

// Close closes idle connections.
func (c *Client) Close() { c.transport.CloseIdleConnections() }

// APIURL returns the URL below which the runner API of the GitLab at text lies,
// with a slash at its end.
func APIURL(text string) (string, error) {
	base, err := baseURL(text)
	if err != nil {
		return "", err
	}
	return base.JoinPath("api/v4/").String(), nil
}

// baseURL makes the URL below which /api/v4 lies.
func baseURL(text string) (*url.URL, error) {
	trimmed := strings.TrimRight(text, "/")
	trimmed = strings.TrimRight(strings.TrimSuffix(trimmed, "/ci"), "/")
	u, err := url.Parse(trimmed)
	switch {
	case err != nil:
		return nil, fmt.Errorf("gitlab: url %q: not a URL; write it like https://gitlab.example.com", text)
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, fmt.Errorf("gitlab: url %q: scheme %q; it must be http or https", text, u.Scheme)
	case u.Host == "":
		return nil, fmt.Errorf("gitlab: url %q: no host; write it like https://gitlab.example.com", text)
	case u.RawQuery != "" || u.Fragment != "" || u.User != nil:
		return nil, fmt.Errorf("gitlab: url of host %q: credentials, query and fragment have no meaning here; remove them", u.Host)
	}
	return u, nil
}

// Authentication headers.
const (
	runnerToken  = "RUNNER-TOKEN"
	jobToken     = "JOB-TOKEN"
	privateToken = "PRIVATE-TOKEN"
)

// A call is one request before it is sent.
type call struct {
	method   string
	path     string // below /api/v4/, without a leading slash
	query    url.Values
	header   map[string]string
	body     []byte
	delivery delivery
}

// jsonCall returns a call whose body is v as JSON; the token goes into header
// too, because some endpoints read it there.
func jsonCall(method, path, tokenHeader string, token job.Secret, v any) (call, error) {
	body, err := json.Marshal(v)
	if err != nil {
		return call{}, fmt.Errorf("gitlab: %s /api/v4/%s: %w", method, path, err)
	}
	return call{
		method: method, path: path, body: body,
		header: map[string]string{"Content-Type": "application/json", tokenHeader: token.Reveal()},
	}, nil
}

func (c call) op() string { return c.method + " /api/v4/" + c.path }

// A reply is an HTTP answer that has been read.
type reply struct {
	*http.Response
	body    []byte
	bodyErr error // the body broke off; body holds what came
}

// maxBody is far above any job payload; more is not read.
const maxBody = 256 << 20

// do sends a call. An error means that there is no answer; every status is an
// answer.
func (c *Client) do(ctx context.Context, what call) (reply, error) {
	req, err := c.request(what)
	if err != nil {
		return reply{}, fmt.Errorf("gitlab: %s: %w", what.op(), err)
	}
	body := &cappedBuffer{max: maxBody}
	resp, err := c.api.Do(req.WithContext(withDelivery(ctx, what.delivery)), body)
	if resp == nil {
		return reply{}, fmt.Errorf("gitlab: %s: %w", what.op(), withoutURL(err))
	}
	answer := reply{Response: resp.Response, body: body.kept.Bytes()}
	var refused *api.ErrorResponse
	switch {
	case errors.As(err, &refused):
		answer.body = refused.Body
	case errors.Is(err, api.ErrNotFound):
	case err != nil:
		answer.bodyErr = err
	}
	return answer, nil
}

func (c *Client) request(what call) (*retryablehttp.Request, error) {
	req, err := c.api.NewRequest(what.method, what.path, nil, []api.RequestOptionFunc{api.WithHeaders(what.header)})
	if err != nil {
		return nil, err
	}
	req.URL.RawQuery = what.query.Encode()
	if what.body == nil {
		return req, nil
	}
	return req, req.SetBody(what.body)
}

// withoutURL takes the url.Error off, whose text repeats the operation.
func withoutURL(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}

// checkRedirect follows a redirect of a GET, and of another call only when
// method and host stay what they were: GitLab's API does not redirect
// elsewhere, so such an answer means that the configured URL is wrong.
func checkRedirect(req *http.Request, via []*http.Request) error {
	first := via[0]
	if len(via) >= 10 {
		return errors.New("more than 10 redirects")
	}
	sameHost := req.URL.Hostname() == first.URL.Hostname()
	if first.URL.Scheme == "https" && req.URL.Scheme != "https" {
		sameHost = false
	}
	if req.Method != first.Method || (first.Method != http.MethodGet && !sameHost) {
		return http.ErrUseLastResponse
	}
	if !sameHost {
		for _, name := range []string{runnerToken, jobToken, privateToken} {
			req.Header.Del(name)
		}
	}
	return nil
}

// A cappedBuffer keeps at most max bytes. It does not embed the buffer, whose
// ReadFrom knows no limit.
type cappedBuffer struct {
	kept bytes.Buffer
	max  int
}

func (b *cappedBuffer) Write(p []byte) (int, error) {
	if b.kept.Len()+len(p) > b.max {
		return 0, fmt.Errorf("answer is longer than %d bytes", b.max)
	}
	return b.kept.Write(p)
}
