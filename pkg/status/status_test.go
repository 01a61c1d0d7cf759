package status_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/runnerd/runnerd/pkg/metrics"
	"github.com/runnerd/runnerd/pkg/status"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestServe(t *testing.T) {
	registry := prometheus.NewRegistry()
	process := metrics.NewProcess(registry, metrics.Build{Name: "runnerd", Version: "1.2.3"})
	jobs := metrics.NewJobs(registry)
	s := &status.Status{}
	s.SetProcess(metrics.Starting)

	listener, err := status.Listen(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- status.Serve(ctx, listener, s.Handler(registry, false)) }()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	get := func(path string) (int, string) {
		t.Helper()
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+listener.Addr().String()+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := client.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		body, err := io.ReadAll(answer.Body)
		if err != nil {
			t.Fatal(err)
		}
		return answer.StatusCode, string(body)
	}

	for _, path := range []string{"/health/ready", "/readyz"} {
		if code, _ := get(path); code != http.StatusServiceUnavailable {
			t.Errorf("%s while starting: %d", path, code)
		}
	}
	for _, path := range []string{"/health/live", "/healthz"} {
		if code, body := get(path); code != http.StatusOK || body != "alive\n" {
			t.Errorf("%s while starting: %d %q", path, code, body)
		}
	}
	s.SetProcess(metrics.Running)
	process.State(metrics.Running)
	for _, path := range []string{"/health/ready", "/readyz"} {
		if code, body := get(path); code != http.StatusOK || body != "ready\n" {
			t.Errorf("%s while running: %d %q", path, code, body)
		}
	}
	if _, body := get("/debug/process/state"); body != "running\n" {
		t.Errorf("process state %q", body)
	}

	id := metrics.Runner{ShortToken: "abc", Name: "one", SystemID: "r_1"}
	j := jobs.Start(id, metrics.Received{QueueTime: 2 * time.Second, QueueSize: 4, ProjectJobsRunning: "3"})
	j.Stage("step_script")
	s.Put(status.Job{ID: 7, URL: "https://gitlab.example.com/-/jobs/7", Stage: "step_script", Started: time.Now()})
	if _, body := get("/debug/jobs/list"); !strings.HasPrefix(body, "url=https://gitlab.example.com/-/jobs/7 state=running stage=step_script executor_stage=run duration=") {
		t.Errorf("jobs list %q", body)
	}
	_, body := get("/metrics")
	for _, want := range []string{
		`gitlab_runner_jobs{executor_stage="prepare",runner="abc",runner_name="one",stage="step_script",state="running",system_id="r_1"} 1`,
		`gitlab_runner_jobs{executor_stage="prepare",runner="abc",runner_name="one",stage="prepare_executor",state="running",system_id="r_1"} 0`,
		`gitlab_runner_process_state_info{state="running"} 1`,
		`gitlab_runner_process_state_info{state="starting"} 0`,
		`gitlab_runner_job_queue_size{runner="abc",runner_name="one",system_id="r_1"} 4`,
	} {
		if !strings.Contains(body, want+"\n") {
			t.Errorf("metrics do not hold %s", want)
		}
	}
	j.Finish("script_failure")
	s.Delete(7)
	_, body = get("/metrics")
	for _, want := range []string{
		`gitlab_runner_failed_jobs_total{failure_reason="script_failure",mode="traditional",runner="abc",runner_name="one"} 1`,
		`gitlab_runner_jobs_total{runner="abc",runner_name="one",system_id="r_1"} 1`,
	} {
		if !strings.Contains(body, want+"\n") {
			t.Errorf("metrics do not hold %s", want)
		}
	}
	process.State(metrics.GracefulShutdown)
	s.SetProcess(metrics.GracefulShutdown)
	if code, _ := get("/readyz"); code != http.StatusServiceUnavailable {
		t.Errorf("ready while draining: %d", code)
	}
	if code, _ := get("/healthz"); code != http.StatusOK {
		t.Errorf("not alive while draining: %d", code)
	}
	stop()
	if err := <-served; err != nil {
		t.Errorf("Serve = %v", err)
	}
}

// TestProfiles: they are there only when they are asked for.
func TestProfiles(t *testing.T) {
	for _, on := range []bool{false, true} {
		for _, path := range []string{"/debug/pprof/", "/debug/pprof/cmdline", "/debug/pprof/goroutine?debug=1", "/debug/pprof/symbol"} {
			answer := httptest.NewRecorder()
			(&status.Status{}).Handler(prometheus.NewRegistry(), on).ServeHTTP(answer, httptest.NewRequest(http.MethodGet, path, http.NoBody))
			if got := answer.Code == http.StatusOK; got != on {
				t.Errorf("pprof = %t: %s answers %d", on, path, answer.Code)
			}
		}
	}
}

func TestListen(t *testing.T) {
	l, err := status.Listen(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if _, err := status.Listen(t.Context(), l.Addr().String()); err == nil || !strings.Contains(err.Error(), "listen_address") {
		t.Errorf("a taken address: %v, want an error that names the key", err)
	}
}
