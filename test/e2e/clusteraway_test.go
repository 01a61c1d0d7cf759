//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/runnerd/runnerd/internal/standin"
)

// A faultyAPI stands between the daemon and the real API server.
type faultyAPI struct {
	*httptest.Server
	tokenFile string // of the daemon

	mu    sync.Mutex
	token string // the only one that is taken
	fault *apiFault
	hits  int
	open  map[int]context.CancelFunc // of the requests that are being served
	next  int
}

// An apiFault is what is answered in the API server's place.
type apiFault struct {
	watches    bool // only to those that watch
	code       int
	reason     metav1.StatusReason
	retryAfter int // seconds
}

// startFaultyAPI sends the daemons that the test starts through it.
func startFaultyAPI(t *testing.T) *faultyAPI {
	t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", os.Getenv("KUBECONFIG"))
	if err != nil {
		t.Fatal(err)
	}
	transport, err := rest.TransportFor(config)
	if err != nil {
		t.Fatal(err)
	}
	target, err := url.Parse(config.Host)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	api := &faultyAPI{tokenFile: filepath.Join(dir, "token"), open: map[int]context.CancelFunc{}}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.Out.Header.Del("Authorization")
		},
		Transport: transport, FlushInterval: -1, ErrorLog: log.New(io.Discard, "", 0),
	}
	api.Server = httptest.NewUnstartedServer(api.guard(proxy))
	api.EnableHTTP2 = true
	api.Config.ErrorLog = log.New(io.Discard, "", 0)
	api.StartTLS()
	t.Cleanup(func() {
		api.cut()
		api.Close()
	})
	kubeconfig := filepath.Join(dir, "kubeconfig")
	text := fmt.Sprintf(`{apiVersion: v1, kind: Config, current-context: c,
clusters: [{name: c, cluster: {server: %q, insecure-skip-tls-verify: true}}],
users: [{name: u, user: {tokenFile: %q}}],
contexts: [{name: c, context: {cluster: c, user: u}}]}`, api.URL, api.tokenFile)
	if err := os.WriteFile(kubeconfig, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("KUBECONFIG", kubeconfig)
	api.takeOnly("first")
	api.writeToken(t, "first")
	return api
}

// guard lets through what neither the fault nor the token keeps off.
func (a *faultyAPI) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithCancel(r.Context())
		defer cancel()
		f, done := a.enter(r, cancel)
		defer done()
		if f == nil {
			next.ServeHTTP(w, r.WithContext(ctx))
			return
		}
		w.Header().Set("Content-Type", "application/json")
		if f.retryAfter > 0 {
			w.Header().Set("Retry-After", fmt.Sprint(f.retryAfter))
		}
		w.WriteHeader(f.code)
		_ = json.NewEncoder(w).Encode(metav1.Status{
			TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"},
			Status:   metav1.StatusFailure, Code: int32(f.code), Reason: f.reason, Message: string(f.reason),
		})
	})
}

// enter counts a request in and returns the fault that it meets.
func (a *faultyAPI) enter(r *http.Request, cancel context.CancelFunc) (met *apiFault, done func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case r.Header.Get("Authorization") != "Bearer "+a.token:
		met = &apiFault{code: http.StatusUnauthorized, reason: metav1.StatusReasonUnauthorized}
	case a.fault != nil && (!a.fault.watches || r.URL.Query().Get("watch") != ""):
		met = a.fault
	}
	if met != nil {
		a.hits++
	}
	a.next++
	n := a.next
	a.open[n] = cancel
	return met, func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		delete(a.open, n)
	}
}

// cut breaks off all requests, watches and logs above all.
func (a *faultyAPI) cut() {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, cancel := range a.open {
		cancel()
	}
}

// fail has requests meet f from now on; nil is none.
func (a *faultyAPI) fail(f *apiFault) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.fault, a.hits = f, 0
}

func (a *faultyAPI) takeOnly(token string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.token, a.hits = token, 0
}

func (a *faultyAPI) met() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.hits
}

func (a *faultyAPI) writeToken(t *testing.T, token string) {
	t.Helper()
	if err := os.WriteFile(a.tokenFile+".new", []byte(token), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(a.tokenFile+".new", a.tokenFile); err != nil {
		t.Fatal(err)
	}
}

// TestClusterAway: watches that break off and cannot be gone on with, throttling, and
// a token that has expired cost a running job and a new one time, and nothing else.
func TestClusterAway(t *testing.T) {
	api := startFaultyAPI(t)
	s := start(t, options{})
	const command = `for i in $(seq 1 200); do echo "line $i"; sleep 0.25; done`
	long := s.add(standin.JobSpec{Name: "long", Script: []string{command}})
	s.until(long, "the first lines", logHas("\nline 5\n"))
	for _, fault := range []struct {
		name string
		apiFault
		hits int
	}{
		{"watches", apiFault{watches: true, code: http.StatusGone, reason: metav1.StatusReasonExpired}, 2},
		{"throttled", apiFault{code: http.StatusTooManyRequests, reason: metav1.StatusReasonTooManyRequests, retryAfter: 1}, 6},
		{"unavailable", apiFault{code: http.StatusServiceUnavailable, reason: metav1.StatusReasonServiceUnavailable}, 6},
		{"token", apiFault{code: http.StatusUnauthorized}, 6},
	} {
		if fault.name == "token" {
			api.takeOnly("second")
		} else {
			api.fail(&fault.apiFault)
		}
		api.cut()
		meanwhile := s.add(standin.JobSpec{Name: fault.name, Script: []string{"echo here"}})
		wait(t, "the fault "+fault.name+" to be met", func() bool { return api.met() >= fault.hits })
		if fault.name == "token" {
			api.writeToken(t, "second")
		} else {
			api.fail(nil)
		}
		s.finish(meanwhile, standin.Success)
		says(t, meanwhile, "\nhere\n")
	}
	s.finish(long, standin.Success)
	var output strings.Builder
	for i := 1; i <= 200; i++ {
		fmt.Fprintf(&output, "line %d\n", i)
	}
	if got, want := section(t, long.Text(), "step_script"), scriptSection(output.String(), command); got != want {
		t.Errorf("script section = %q, want %q", got, want)
	}
}
