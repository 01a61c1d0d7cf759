package transfer

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/runnerd/runnerd/pkg/cacert"
)

// Options are a [Client]'s.
type Options struct {
	UserAgent string
	CA        []byte // PEM; trusted in addition to what the system trusts

	// Proxy chooses the proxy of a request; nil: the environment does.
	Proxy func(*http.Request) (*url.URL, error)

	// Stall is for how long no byte may move before a try is given up. 0: 60 s.
	Stall time.Duration
	// Pauses are those between the tries of a segment, give or take a quarter,
	// and so say how many there are. nil: 0.5, 2 and 8 s.
	Pauses []time.Duration
}

// A Client moves segments. It is safe for concurrent use.
type Client struct {
	http      *http.Client
	transport *http.Transport
	userAgent string
	stall     time.Duration
	pauses    []time.Duration

	sent, received atomic.Int64
}

const bufferBytes = 256 << 10

// NewClient returns a Client. It fails if CA has no certificate in it.
func NewClient(o Options) (*Client, error) {
	c := &Client{userAgent: o.UserAgent, stall: o.Stall, pauses: o.Pauses}
	if c.stall == 0 {
		c.stall = time.Minute
	}
	if c.pauses == nil {
		c.pauses = []time.Duration{500 * time.Millisecond, 2 * time.Second, 8 * time.Second}
	}
	trust, err := cacert.Pool(o.CA)
	if err != nil {
		return nil, fmt.Errorf("certificate authority of the store: %w; give the CA's certificate", err)
	}
	c.transport = newTransport(trust, o.Proxy)
	c.http = &http.Client{
		Transport: c.transport,
		// Redirects are followed by get, which knows which ones are harmless.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return c, nil
}

// Close closes the connections that nobody uses. The Client may be used again.
func (c *Client) Close() { c.transport.CloseIdleConnections() }

// Sent is how many bytes of segments have gone out, repeated ones included.
func (c *Client) Sent() int64 { return c.sent.Load() }

// Received is how many bytes of segments have come in, repeated ones included.
func (c *Client) Received() int64 { return c.received.Load() }

// newTransport returns a transport for few connections that are kept busy. It
// speaks HTTP/1.1: with HTTP/2 all segments would share one connection, and the
// window of that would be the limit.
func newTransport(trust *x509.CertPool, proxy func(*http.Request) (*url.URL, error)) *http.Transport {
	if proxy == nil {
		proxy = http.ProxyFromEnvironment
	}
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	dialer := net.Dialer{Timeout: 10 * time.Second}
	return &http.Transport{
		Proxy:                 proxy,
		DialContext:           dialer.DialContext,
		TLSClientConfig:       &tls.Config{RootCAs: trust, MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:   10 * time.Second,
		ResponseHeaderTimeout: 30 * time.Second,
		ExpectContinueTimeout: time.Second,
		Protocols:             &protocols,
		DisableCompression:    true,
		WriteBufferSize:       bufferBytes,
		ReadBufferSize:        bufferBytes,
		MaxIdleConnsPerHost:   16,
		IdleConnTimeout:       10 * time.Second, // sooner than any store closes it under us
	}
}
