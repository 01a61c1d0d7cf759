package artifact

import (
	"crypto/rand"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/runnerd/runnerd/pkg/cacert"
	"github.com/runnerd/runnerd/pkg/httpwait"
)

// Options are a [Client]'s.
type Options struct {
	API       string // URL below which the runner API lies, with a slash at its end
	UserAgent string
	CA        []byte // PEM; trusted in addition to what the system trusts

	ClientCert, ClientKey []byte // PEM; shown to a server that asks; empty: there is none

	// Proxy chooses the proxy of a request; nil: the environment does.
	Proxy func(*http.Request) (*url.URL, error)

	UploadTimeout   time.Duration // of one sending; 0: 1 h
	ResponseTimeout time.Duration // until the answer begins, once all is sent; 0: 10 min

	// Note gets a line for the job's log whenever something is tried again; nil: nobody.
	Note func(line string)

	// Pause is the wait between two tries, counted from 1; nil: 1, 2, 4 and then 5 s.
	Pause func(try int) time.Duration
	// Backoff is that between the attempts of a try where the server says nothing;
	// nil: httpwait.Backoff.
	Backoff func(attempt int) time.Duration
}

// downloadTimeout bounds one fetching of one artifact.
const downloadTimeout = time.Hour

// A Client transfers artifacts. It is safe for concurrent use.
type Client struct {
	options   Options
	api       *url.URL
	http      *http.Client
	transport *http.Transport

	sent, received atomic.Int64
}

// NewClient returns a Client. It fails when the options make no sense.
func NewClient(o Options) (*Client, error) {
	api, err := url.Parse(o.API)
	if err != nil || api.Host == "" {
		return nil, errors.New("artifacts: the URL of GitLab's API is none")
	}
	if o.UploadTimeout <= 0 {
		o.UploadTimeout = time.Hour
	}
	if o.ResponseTimeout <= 0 {
		o.ResponseTimeout = 10 * time.Minute
	}
	if o.Note == nil {
		o.Note = func(string) {}
	}
	if o.Pause == nil {
		o.Pause = uploadPause
	}
	if o.Backoff == nil {
		o.Backoff = httpwait.Backoff
	}
	if o.Proxy == nil {
		o.Proxy = http.ProxyFromEnvironment
	}
	config, err := o.tls()
	if err != nil {
		return nil, err
	}
	c := &Client{options: o, api: api, transport: newTransport(config, o.Proxy, o.ResponseTimeout)}
	c.http = &http.Client{
		Transport: c.transport,
		// Whoever asks decides where the token may go.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return c, nil
}

// Close closes the connections that nobody uses.
func (c *Client) Close() { c.transport.CloseIdleConnections() }

// Sent is how many bytes of artifacts have gone out, repeated ones included.
func (c *Client) Sent() int64 { return c.sent.Load() }

// Received is how many bytes of archives have come in, repeated ones included.
func (c *Client) Received() int64 { return c.received.Load() }

// uploadPause is 1, 2, 4 and then always 5 s.
func uploadPause(try int) time.Duration {
	return min(time.Second<<min(try-1, 3), 5*time.Second)
}

// newTransport returns a transport that speaks HTTP/1.1: a long body on a
// connection of its own has all of its window.
func newTransport(config *tls.Config, proxy func(*http.Request) (*url.URL, error), answer time.Duration) *http.Transport {
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	return &http.Transport{
		Proxy:                 proxy,
		DialContext:           dialer{net.Dialer{Timeout: 30 * time.Second, KeepAlive: 30 * time.Second}}.dial,
		TLSClientConfig:       config,
		TLSHandshakeTimeout:   10 * time.Second,
		ResponseHeaderTimeout: answer,
		ExpectContinueTimeout: 2 * time.Second,
		Protocols:             &protocols,
		DisableCompression:    true, // an archive is taken as it is
		WriteBufferSize:       readBytes,
		ReadBufferSize:        readBytes,
		IdleConnTimeout:       10 * time.Second,
	}
}

// tls says whom the client trusts, and who it is.
func (o *Options) tls() (*tls.Config, error) {
	trust, err := cacert.Pool(o.CA)
	if err != nil {
		return nil, fmt.Errorf("artifacts: GitLab's certificate authority: %w", err)
	}
	config := &tls.Config{RootCAs: trust, MinVersion: tls.VersionTLS12}
	if len(o.ClientCert)+len(o.ClientKey) > 0 {
		pair, err := tls.X509KeyPair(o.ClientCert, o.ClientKey)
		if err != nil {
			return nil, fmt.Errorf("artifacts: client certificate: %w", err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return config, nil
}

// headers are those of every request. The token is left out where it is empty.
func (c *Client) headers(req *http.Request, token string) {
	req.Header.Set("User-Agent", c.options.UserAgent)
	req.Header.Set("X-Request-Id", requestID())
	if token != "" {
		req.Header.Set("JOB-TOKEN", token)
	}
}

// requestID is a random UUID without dashes.
func requestID() string {
	var id [16]byte
	_, _ = rand.Read(id[:]) // never fails
	id[6] = id[6]&0x0f | 0x40
	id[8] = id[8]&0x3f | 0x80
	return hex.EncodeToString(id[:])
}

// of returns the URL of a job's artifacts at the API base.
func of(base *url.URL, job int64, query url.Values) string {
	u := base.JoinPath("jobs", fmt.Sprint(job), "artifacts")
	u.RawQuery = query.Encode()
	return u.String()
}
