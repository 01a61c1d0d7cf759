package gitlab

import (
	"net"
	"net/http"
	"sync"
	"time"
)

const defaultConnectionMaxAge = 15 * time.Minute

// An agingTransport sends requests over connections that are younger than
// maxAge: from time to time it starts a new pool and lets the old one run dry.
// The new pool reads the TLS files again.
type agingTransport struct {
	tls    TLS
	host   string
	maxAge time.Duration

	mu      sync.Mutex
	current *http.Transport
	pair    clientPair // that current presents
	born    time.Time
}

func newAgingTransport(files TLS, host string, maxAge time.Duration) (*agingTransport, error) {
	if maxAge <= 0 {
		maxAge = defaultConnectionMaxAge
	}
	t := &agingTransport{tls: files, host: host, maxAge: maxAge, born: time.Now()}
	var err error
	t.current, t.pair, err = t.pool()
	return t, err
}

func (t *agingTransport) pool() (*http.Transport, clientPair, error) {
	config, pair, err := t.tls.config(t.host)
	if err != nil {
		return nil, clientPair{}, err
	}
	dialer := &net.Dialer{Timeout: 30 * time.Second, KeepAlive: 30 * time.Second}
	return &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           dialer.DialContext,
		TLSClientConfig:       config,
		TLSHandshakeTimeout:   10 * time.Second,
		ResponseHeaderTimeout: 10 * time.Minute,
		IdleConnTimeout:       90 * time.Second,
		MaxIdleConnsPerHost:   16,
		ForceAttemptHTTP2:     true,
		// One HTTP/2 connection carries all jobs: a dead one must be noticed.
		HTTP2: &http.HTTP2Config{SendPingTimeout: 30 * time.Second, PingTimeout: 15 * time.Second},
	}, pair, nil
}

func (t *agingTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	return t.young().RoundTrip(req)
}

// young returns the pool in use, a new one when it has become too old. When the
// TLS files cannot be read just now, the old pool stays.
func (t *agingTransport) young() *http.Transport {
	t.mu.Lock()
	defer t.mu.Unlock()
	if time.Since(t.born) < t.maxAge {
		return t.current
	}
	t.born = time.Now()
	if next, pair, err := t.pool(); err == nil {
		t.current.CloseIdleConnections()
		t.current, t.pair = next, pair
	}
	return t.current
}

// clientPair returns what the pool in use presents to the server.
func (t *agingTransport) clientPair() clientPair {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.pair
}

func (t *agingTransport) CloseIdleConnections() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.current.CloseIdleConnections()
}
