package standin

import (
	"net/http"
	"strings"
	"time"
)

// URL is what belongs into a runner's configuration as `url`: the external
// URL if there is one, else that of the listener.
func (s *Server) URL() string {
	if s.opts.ExternalURL != "" {
		return strings.TrimSuffix(s.opts.ExternalURL, "/")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.url + s.opts.PathPrefix
}

// StorageURL is the base of the object storage: the same server at another
// port. It serves the API too, as the target of redirected uploads.
func (s *Server) StorageURL() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.storageURL
}

// CACertificate returns the PEM of the CA that signed the server's
// certificate, or nil when it serves plain HTTP.
func (s *Server) CACertificate() []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.authority == nil {
		return nil
	}
	return s.authority.pem
}

// ClientCertificate returns the PEM of a client certificate of that CA and of
// its key, or nil when the server serves plain HTTP.
func (s *Server) ClientCertificate() (cert, key []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.authority == nil {
		return nil, nil
	}
	return s.authority.clientCert, s.authority.clientKey
}

// SetMaintenance makes every endpoint answer 429 with Retry-After: 60 (14.37),
// as GitLab does while it migrates its database.
func (s *Server) SetMaintenance(on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.maintenance = on
}

// SetTraceInterval changes the update interval that answers tell, in whole
// seconds: 3 s while somebody watches a log, 60 s otherwise.
func (s *Server) SetTraceInterval(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.interval = d
}

// SetAccessTokens replaces the personal access tokens that are known.
func (s *Server) SetAccessTokens(tokens ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tokens = tokens
}

// Requests returns how many requests an endpoint has seen, those included
// that met a fault.
func (s *Server) Requests(e Endpoint) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e != AnyEndpoint {
		return s.seen[e]
	}
	sum := 0
	for _, n := range s.seen {
		sum += n
	}
	return sum
}

// ExpectRestart says that the client's process is being replaced: what the
// old one was told (waits, offsets, queue values) does not bind the new one.
func (s *Server) ExpectRestart() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.clients {
		c.told = toldClient{}
	}
	for _, j := range s.jobs {
		j.told = toldJob{restarted: true}
		j.early = nil
	}
}

// broadcast wakes everybody who waits for a change. s.mu is held.
func (s *Server) broadcast() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// id returns a number that no other thing of this server has. s.mu is held.
func (s *Server) id() int64 {
	s.nextID++
	return s.nextID
}

// base returns the URL under which the client reaches the server, with the
// prefix: what payloads name. s.mu is held.
func (s *Server) base(r *http.Request) string {
	switch {
	case s.opts.ExternalURL != "":
		return strings.TrimSuffix(s.opts.ExternalURL, "/")
	case s.url != "":
		return s.url + s.opts.PathPrefix
	case r.TLS != nil:
		return "https://" + r.Host + s.opts.PathPrefix
	default:
		return "http://" + r.Host + s.opts.PathPrefix
	}
}
