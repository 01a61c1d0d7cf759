package standin

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"
)

// A Server is a GitLab as a runner sees it. It is safe for concurrent use.
type Server struct {
	opts Options
	mux  *http.ServeMux // below <prefix>/api/v4

	violations violations
	faults     faults
	requestIDs requestIDs
	rates      rates

	closed chan struct{}
	active sync.WaitGroup // requests being handled and the serving goroutines

	mu          sync.Mutex // guards all below
	servers     []*http.Server
	changed     chan struct{}
	closing     bool
	url         string // at which the API is reached, without the prefix
	storageURL  string
	authority   *authority // nil without TLS
	dir         string     // holds the repositories; made when first needed
	maintenance bool
	interval    time.Duration
	seen        map[Endpoint]int
	nextID      int64
	runners     []*Runner
	clients     map[clientKey]*client
	jobs        map[int64]*Job
	order       []*Job // as they became pending
	objects     map[string][]byte
	repos       map[string]*Repository
	project     *Project // of jobs without a repository
	tokens      []string // personal access tokens
}

// New makes a Server that listens nowhere yet. It can be used as an
// [http.Handler] as it is; [Server.Start] makes it serve by itself.
func New(o Options) *Server {
	s := &Server{
		opts:    o.withDefaults(),
		closed:  make(chan struct{}),
		changed: make(chan struct{}),
		seen:    map[Endpoint]int{},
		nextID:  1000,
		clients: map[clientKey]*client{},
		jobs:    map[int64]*Job{},
		objects: map[string][]byte{},
		repos:   map[string]*Repository{},
	}
	s.interval = s.opts.TraceInterval
	s.project = &Project{server: s, id: 77, path: "demo/hello"}
	s.tokens = s.opts.AccessTokens
	s.violations.allow = s.opts.Allow
	s.violations.logf = s.opts.Logf
	s.mux = s.routes()
	return s
}

func (s *Server) routes() *http.ServeMux {
	mux := http.NewServeMux()
	route := func(pattern string, e Endpoint, h handler) { mux.Handle(pattern, s.handle(e, h)) }
	route("POST /runners", Register, s.register)
	route("POST /runners/verify", Verify, s.verify)
	route("DELETE /runners", Unregister, s.unregister)
	route("DELETE /runners/managers", UnregisterManager, s.unregisterManager)
	route("POST /runners/reset_authentication_token", ResetToken, s.resetToken)
	route("POST /runners/{id}/reset_authentication_token", ResetToken, s.resetTokenByID)
	route("GET /runners/router/discovery", Discovery, s.discovery)
	route("POST /jobs/request", RequestJob, s.requestJob)
	route("PUT /jobs/{id}", UpdateJob, s.updateJob)
	route("PATCH /jobs/{id}/trace", PatchTrace, s.patchTrace)
	route("POST /jobs/{id}/artifacts", UploadArtifact, s.uploadArtifact)
	route("GET /jobs/{id}/artifacts", DownloadArtifact, s.downloadArtifact)
	route("POST /jobs/{id}/artifacts/authorize", UploadArtifact, s.authorizeUpload)
	route("GET /projects/{project}/protected_branches", ReadFacts, s.reading(s.readBranches))
	route("GET /projects/{project}/protected_tags", ReadFacts, s.reading(s.readTags))
	route("GET /projects/{project}/protected_environments", ReadFacts, s.reading(s.readEnvironments))
	route("GET /projects/{project}/jobs/{id}", ReadFacts, s.reading(s.readJob))
	route("GET /projects/{project}/deployments", ReadFacts, s.reading(s.readDeployments))
	route("/", unknownEndpoint, s.unknown)
	return mux
}

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	if s.closing {
		s.mu.Unlock()
		panic(http.ErrAbortHandler)
	}
	s.active.Add(1)
	s.mu.Unlock()
	defer s.active.Done()

	path, inside := strings.CutPrefix(r.URL.Path, s.opts.PathPrefix)
	switch {
	case !inside: // 14.38
		s.handle(unknownEndpoint, s.unknown).ServeHTTP(w, r)
	case strings.HasPrefix(path, "/api/v4/"):
		http.StripPrefix(s.opts.PathPrefix+"/api/v4", s.mux).ServeHTTP(w, r)
	case strings.HasPrefix(path, storagePath):
		s.handle(Storage, s.serveObject).ServeHTTP(w, r)
	case strings.Contains(path, ".git/"):
		s.handle(GitFetch, s.serveGit).ServeHTTP(w, r)
	default:
		s.handle(unknownEndpoint, s.unknown).ServeHTTP(w, r)
	}
}

// Start serves l, and on another port of the same address the object storage.
// It returns at once; [Server.Close] ends what it started.
func (s *Server) Start(l net.Listener) error {
	host, _, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		return fmt.Errorf("standin: address of listener %q: %w", l.Addr(), err)
	}
	storage, err := new(net.ListenConfig).Listen(context.Background(), "tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		return fmt.Errorf("standin: listen for object storage: %w", err)
	}
	var conf, storageConf *tls.Config
	scheme := "http"
	if s.opts.TLS {
		ca, err := newAuthority(append([]string{s.publicHost(host), "localhost", "127.0.0.1"}, s.opts.TLSHosts...))
		if err != nil {
			return errors.Join(err, storage.Close())
		}
		scheme, conf, storageConf = "https", ca.config(s.opts.TLSClients), ca.config(false)
		s.mu.Lock()
		s.authority = ca
		s.mu.Unlock()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.url = scheme + "://" + net.JoinHostPort(s.publicHost(host), port(l))
	s.storageURL = scheme + "://" + net.JoinHostPort(s.publicHost(host), port(storage))
	s.serve(l, conf)
	s.serve(storage, storageConf)
	return nil
}

// publicHost is the name under which clients reach a listener at host.
func (s *Server) publicHost(host string) string {
	if u, err := url.Parse(s.opts.ExternalURL); err == nil && u.Hostname() != "" {
		return u.Hostname()
	}
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		return "127.0.0.1"
	}
	return host
}

func port(l net.Listener) string {
	_, p, _ := net.SplitHostPort(l.Addr().String()) // the address of a TCP listener has one
	return p
}

func (s *Server) serve(l net.Listener, conf *tls.Config) {
	srv := &http.Server{Handler: s, TLSConfig: conf, ReadHeaderTimeout: time.Minute}
	srv.Protocols = new(http.Protocols)
	srv.Protocols.SetHTTP1(true) // a cut connection must be one, not a reset stream
	srv.ErrorLog = quiet
	s.servers = append(s.servers, srv)
	s.active.Go(func() {
		if conf != nil {
			_ = srv.ServeTLS(l, "", "") // returns when Close closes the server
			return
		}
		_ = srv.Serve(l)
	})
}

// Close cuts all connections, waits for everything that the server has
// started, and removes its repositories.
func (s *Server) Close() error {
	s.mu.Lock()
	if s.closing {
		s.mu.Unlock()
		return nil
	}
	s.closing = true
	close(s.closed)
	for _, j := range s.jobs {
		j.stopTimers()
	}
	servers, dir := s.servers, s.dir
	s.mu.Unlock()

	var errs []error
	for _, srv := range servers {
		errs = append(errs, srv.Close())
	}
	s.active.Wait()
	if dir != "" {
		errs = append(errs, os.RemoveAll(dir))
	}
	return errors.Join(errs...)
}
