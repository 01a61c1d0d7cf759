package registry

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/runnerd/runnerd/pkg/job"
)

const (
	defaultTimeout = 20 * time.Second
	maxAnswer      = 4 << 20 // bytes of a manifest, a signature or a list of referrers
	maxSignatures  = 64      // of one image, in each of the layouts
)

// Options are what a Client works with. The zero value is useful.
type Options struct {
	// Insecure lists registries, as images name them (host[:port]), that may be
	// spoken to in plain HTTP, which is done when they do not speak HTTPS.
	//
	// All others are asked by HTTPS only. That includes localhost and private
	// addresses, of which go-containerregistry would try HTTP by itself: the
	// kubelet's containerd wants HTTPS at private addresses too, and the
	// localhost where it makes an exception is the node's, not this process's.
	Insecure []string

	Timeout   time.Duration // of all requests for one image; 0 means 20 s
	UserAgent string        // in front of the library's own
}

// A Client asks registries. It is safe for concurrent use.
type Client struct {
	options   Options
	insecure  map[string]bool // by authority
	transport *http.Transport
}

// New returns a Client; it starts nothing and connects to nobody.
func New(o Options) *Client {
	if o.Timeout <= 0 {
		o.Timeout = defaultTimeout
	}
	insecure := map[string]bool{}
	for _, host := range o.Insecure {
		insecure[authority(host, plainPort)] = true
	}
	return &Client{options: o, insecure: insecure, transport: &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		ForceAttemptHTTP2:      true,
		TLSHandshakeTimeout:    10 * time.Second,
		IdleConnTimeout:        30 * time.Second, // long enough for one image's requests
		MaxResponseHeaderBytes: 256 << 10,
	}}
}

// Close closes the connections that are kept for the next question. The Client
// can still be used.
func (c *Client) Close() { c.transport.CloseIdleConnections() }

// A session is what is asked about one image on behalf of one job.
type session struct {
	verb     string // resolve or verify, for errors
	image    image
	login    *job.Credential // nil: anonymous
	insecure bool            // the registry is listed in Options.Insecure
	timeout  time.Duration
	puller   *remote.Puller
}

// open reads the image's name. Nobody is asked yet.
func (c *Client) open(verb, text string, credentials []job.Credential) (*session, error) {
	s := &session{verb: verb, timeout: c.options.Timeout}
	host, path, err := split(text)
	if err != nil {
		return nil, &Error{Kind: BadName, Image: text, verb: verb, text: err.Error()}
	}
	s.insecure = c.insecure[authority(host, plainPort)]
	if s.image, err = newImage(text, host, path, s.insecure); err != nil {
		return nil, &Error{Kind: BadName, Image: text, Registry: host, verb: verb, text: err.Error()}
	}
	s.login = choose(credentials, s.image, s.insecure)
	s.puller, err = remote.NewPuller(
		remote.WithAuth(s.auth()),
		remote.WithTransport(&wire{inner: c.transport, insecure: c.insecure}),
		remote.WithUserAgent(c.options.UserAgent),
		// The one place that repeats a request: twice, within a second.
		remote.WithRetryBackoff(remote.Backoff{Duration: 200 * time.Millisecond, Factor: 3, Jitter: 0.1, Steps: 3}),
		remote.WithRetryStatusCodes(http.StatusRequestTimeout, http.StatusInternalServerError, http.StatusBadGateway,
			http.StatusServiceUnavailable, http.StatusGatewayTimeout),
	)
	if err != nil {
		return nil, s.fail(context.Background(), err)
	}
	return s, nil
}

func (s *session) auth() authn.Authenticator {
	if s.login == nil {
		return authn.Anonymous
	}
	return authn.FromConfig(authn.AuthConfig{Username: s.login.Username, Password: s.login.Password.Reveal()})
}

// hide takes the credential out of a text, in the forms in which a registry may
// send it back.
func (s *session) hide(text string) string {
	if s.login == nil || s.login.Password == "" {
		return text
	}
	password := s.login.Password.Reveal()
	return strings.NewReplacer(basic(s.login), "[masked]", password, "[masked]").Replace(text)
}

// digest names one manifest or blob of the image's repository.
func (s *session) digest(text string) name.Digest { return s.image.repository.Digest(text) }
