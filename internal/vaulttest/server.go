package vaulttest

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"encoding/pem"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
)

// A Role is what a token may become at the auth method.
type Role struct {
	Audience string
	Claims   map[string]string // they have to be in the token, with these values
	Paths    []string          // what may be read, below /v1/; * at the end is a wildcard
}

// A Server is a Vault with one namespace, one auth method and two engines:
// "kv1" and "team/kv2". Its address does not change when it is down for a while.
type Server struct {
	Namespace string // "" is the root

	t    testing.TB
	key  *rsa.PrivateKey
	addr string
	ca   []byte
	http *httptest.Server

	mu       sync.Mutex
	auth     string // where the auth method is mounted
	roles    map[string]Role
	secrets  map[string]map[string]any // by engine/path
	tokens   map[string]Role
	sealed   int // requests that are answered as by a sealed Vault
	requests []string
}

// Start runs a server until the test ends, with TLS if secure is set.
func Start(t testing.TB, secure bool) *Server {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{
		t: t, key: key, addr: "127.0.0.1:0", auth: "jwt/gitlab",
		roles: map[string]Role{}, secrets: map[string]map[string]any{}, tokens: map[string]Role{},
	}
	s.up(secure)
	t.Cleanup(s.Down)
	return s
}

func (s *Server) up(secure bool) {
	s.t.Helper()
	var lc net.ListenConfig
	listener, err := lc.Listen(s.t.Context(), "tcp", s.addr)
	if err != nil {
		s.t.Fatal(err)
	}
	s.addr = listener.Addr().String()
	s.http = httptest.NewUnstartedServer(http.HandlerFunc(s.serve))
	s.http.Listener.Close()
	s.http.Listener = listener
	if secure {
		s.http.StartTLS()
		s.ca = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.http.Certificate().Raw})
		return
	}
	s.http.Start()
}

// Down ends the server: its port refuses connections.
func (s *Server) Down() { s.http.Close() }

// Up starts it again, after Down, on the same port and with the same content.
func (s *Server) Up() { s.up(s.ca != nil) }

// URL is the server's, and CA the PEM of its authority, nil without TLS.
func (s *Server) URL() string { return s.http.URL }

// CA is the PEM of the server's authority; nil without TLS.
func (s *Server) CA() []byte { return s.ca }

// AddRole adds a role to the auth method, which is mounted at "jwt/gitlab".
func (s *Server) AddRole(name string, r Role) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.roles[name] = r
}

// Put writes a secret: path begins with "kv1/" or "team/kv2/".
func (s *Server) Put(path string, data map[string]any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.secrets[path] = data
}

// Seal has the next n requests refused as a sealed Vault does it.
func (s *Server) Seal(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sealed = n
}

// Requests lists what has been asked, as "METHOD path".
func (s *Server) Requests() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.requests)
}

// Tokens is how many tokens nobody has revoked.
func (s *Server) Tokens() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.tokens)
}

func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests = append(s.requests, r.Method+" "+r.URL.Path)
	path, ok := strings.CutPrefix(r.URL.Path, "/v1/")
	switch {
	case !ok:
		refuse(w, http.StatusNotFound)
	case s.sealed > 0:
		s.sealed--
		refuse(w, http.StatusServiceUnavailable, "Vault is sealed")
	case r.Header.Get("X-Vault-Namespace") != s.Namespace:
		refuse(w, http.StatusForbidden, "permission denied")
	case strings.HasSuffix(path, "/login"):
		s.login(w, r, strings.TrimSuffix(strings.TrimPrefix(path, "auth/"), "/login"))
	default:
		s.withToken(w, r, path)
	}
}

func (s *Server) withToken(w http.ResponseWriter, r *http.Request, path string) {
	token := r.Header.Get("X-Vault-Token")
	role, ok := s.tokens[token]
	if !ok {
		refuse(w, http.StatusForbidden, "permission denied")
		return
	}
	switch {
	case r.Method == http.MethodPost && path == "auth/token/revoke-self":
		delete(s.tokens, token)
		w.WriteHeader(http.StatusNoContent)
	case r.Method != http.MethodGet || !slices.ContainsFunc(role.Paths, func(p string) bool { return fits(p, path) }):
		refuse(w, http.StatusForbidden, "1 error occurred:\n\t* permission denied\n\n")
	default:
		s.read(w, path)
	}
}

func fits(pattern, path string) bool {
	if prefix, ok := strings.CutSuffix(pattern, "*"); ok {
		return strings.HasPrefix(path, prefix)
	}
	return pattern == path
}

func (s *Server) read(w http.ResponseWriter, path string) {
	if rest, ok := strings.CutPrefix(path, "team/kv2/"); ok {
		name, versioned := strings.CutPrefix(rest, "data/")
		data, found := s.secrets["team/kv2/"+name]
		if !versioned || !found {
			refuse(w, http.StatusNotFound)
			return
		}
		answer(w, map[string]any{"data": map[string]any{"data": data, "metadata": map[string]any{"version": 1, "destroyed": false}}})
		return
	}
	data, found := s.secrets[path]
	if !found {
		refuse(w, http.StatusNotFound)
		return
	}
	answer(w, map[string]any{"data": data, "lease_duration": 2764800})
}

func refuse(w http.ResponseWriter, status int, why ...string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{"errors": append([]string{}, why...)})
}

func answer(w http.ResponseWriter, body any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(body)
}
