// Package status serves what operators and their tools look at: metrics,
// health, the list of running jobs, and profiles.
package status

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/pprof"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// A Job is one line of the list of running jobs.
type Job struct {
	ID      int64
	URL     string
	Stage   string
	Started time.Time
}

// Status knows what the process is doing. The zero Status is ready for use,
// and safe for concurrent use.
type Status struct {
	process atomic.Value // string

	mu   sync.Mutex
	jobs map[int64]Job // guarded by mu
}

// SetProcess says in which state the process is, as in the process_state_info
// metric.
func (s *Status) SetProcess(state string) { s.process.Store(state) }

// Process returns the state of the process.
func (s *Status) Process() string {
	state, _ := s.process.Load().(string)
	return state
}

// Put adds or changes a running job.
func (s *Status) Put(j Job) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.jobs == nil {
		s.jobs = map[int64]Job{}
	}
	s.jobs[j.ID] = j
}

// Delete takes a job out of the list.
func (s *Status) Delete(id int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.jobs, id)
}

// Jobs returns the running jobs, the oldest first.
func (s *Status) Jobs() []Job {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]Job, 0, len(s.jobs))
	for _, j := range s.jobs {
		list = append(list, j)
	}
	slices.SortFunc(list, func(a, b Job) int { return a.Started.Compare(b.Started) })
	return list
}

// Handler serves /metrics, /readyz, /healthz, /debug/jobs/list and
// /debug/process/state; with profiles also /debug/pprof/. /health/ready, GitLab
// Runner's name, and /health/live are the same as /readyz and /healthz.
func (s *Status) Handler(metrics prometheus.Gatherer, profiles bool) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(metrics, promhttp.HandlerOpts{}))
	for _, path := range []string{"GET /readyz", "GET /health/ready"} {
		mux.HandleFunc(path, s.ready)
	}
	for _, path := range []string{"GET /healthz", "GET /health/live"} {
		mux.HandleFunc(path, alive)
	}
	mux.HandleFunc("GET /debug/jobs/list", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-List-Version", "2")
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		for _, j := range s.Jobs() {
			fmt.Fprintf(w, "url=%s state=running stage=%s executor_stage=run duration=%s\n",
				j.URL, j.Stage, time.Since(j.Started).Round(time.Millisecond))
		}
	})
	mux.HandleFunc("GET /debug/process/state", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintln(w, s.Process())
	})
	if profiles {
		mux.HandleFunc("GET /debug/pprof/", pprof.Index)
		mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
		mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
		mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
		mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	}
	return mux
}

// ready says whether the process takes jobs.
func (s *Status) ready(w http.ResponseWriter, _ *http.Request) {
	if s.Process() != "running" {
		http.Error(w, s.Process(), http.StatusServiceUnavailable)
		return
	}
	fmt.Fprintln(w, "ready")
}

// alive says nothing but that the process answers: one that drains is not ready, and
// must not be restarted for that.
func alive(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "alive") }

const defaultPort = "9252" // GitLab Runner's

// Listen opens the listener for address, "host:port" or "host"; the port
// defaults to GitLab Runner's 9252.
func Listen(ctx context.Context, address string) (net.Listener, error) {
	if _, _, err := net.SplitHostPort(address); err != nil && !strings.Contains(strings.Trim(address, "[]"), ":") {
		address = net.JoinHostPort(strings.Trim(address, "[]"), defaultPort)
	}
	var lc net.ListenConfig
	listener, err := lc.Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listen_address %q: %w", address, err)
	}
	return listener, nil
}

// Serve answers requests on listener until ctx ends.
func Serve(ctx context.Context, listener net.Listener, handler http.Handler) error {
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	select {
	case err := <-ended:
		return fmt.Errorf("serve %s: %w", listener.Addr(), err)
	case <-ctx.Done():
	}
	shut, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	err := server.Shutdown(shut)
	if serveErr := <-ended; !errors.Is(serveErr, http.ErrServerClosed) {
		err = errors.Join(err, serveErr)
	}
	return err
}
