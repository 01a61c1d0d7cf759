//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/runnerd/runnerd/internal/standin"
)

// TestPrometheus: a real Prometheus scrapes the daemon and finds the job, and
// promtool has nothing to say about the metrics.
func TestPrometheus(t *testing.T) {
	t.Parallel()
	s := start(t, options{})
	s.finish(s.add(standin.JobSpec{Name: "counted", Script: []string{"exit 3"}}), standin.Failed)

	text, err := s.get("/metrics")
	if err != nil {
		t.Fatal(err)
	}
	check := exec.Command("promtool", "check", "metrics")
	check.Stdin = strings.NewReader(text)
	if out, err := check.CombinedOutput(); err != nil && !onlyInheritedNames(string(out)) {
		t.Errorf("promtool check metrics: %v\n%s", err, out)
	}

	api := startPrometheus(t, s.listen)
	for query, want := range map[string]string{
		`up{job="runnerd"}`:                           "1",
		`gitlab_runner_jobs_total{runner_name="e2e"}`: "1",
		`gitlab_runner_failed_jobs_total{runner_name="e2e",failure_reason="script_failure"}`: "1",
		`sum(gitlab_runner_jobs)`:  "0",
		`gitlab_runner_concurrent`: "4",
		`sum(gitlab_runner_api_request_statuses_total{endpoint="request_job",status="201"})`: "1",
		`sum(gitlab_runner_job_stage_duration_seconds_count{stage="step_script"})`:           "1",
		`gitlab_runner_process_state_info{state="running"}`:                                  "1",
	} {
		var got string
		wait(t, fmt.Sprintf("%s to be %s", query, want), func() bool {
			got = ask(t, api, query)
			return got == want
		})
	}
}

// onlyInheritedNames reports whether promtool only minds names that are GitLab
// Runner's: dashboards depend on them.
func onlyInheritedNames(out string) bool {
	for _, line := range strings.Split(strings.TrimSpace(out), "\n") {
		if !strings.HasPrefix(line, "gitlab_runner_") {
			return false
		}
	}
	return true
}

// startPrometheus scrapes target until the test ends and returns the server's URL.
func startPrometheus(t *testing.T, target string) string {
	t.Helper()
	dir := t.TempDir()
	config := filepath.Join(dir, "prometheus.yml")
	text := fmt.Sprintf("global: {scrape_interval: 1s}\nscrape_configs: [{job_name: runnerd, static_configs: [{targets: [%q]}]}]\n", target)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := free.Addr().String()
	free.Close()
	var log bytes.Buffer
	server := exec.Command("prometheus", "--config.file", config, "--storage.tsdb.path", filepath.Join(dir, "data"), "--web.listen-address", address)
	server.Stdout, server.Stderr = &log, &log
	server.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = server.Process.Signal(syscall.SIGTERM)
		if err := server.Wait(); err != nil {
			t.Errorf("prometheus: %v\n%s", err, log.String())
		}
	})
	return "http://" + address
}

// ask evaluates a query that yields one number; "" while it yields none.
func ask(t *testing.T, api, query string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, api+"/api/v1/query?query="+url.QueryEscape(query), nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return "" // it is still starting
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	var result struct {
		Data struct {
			Result []struct {
				Value [2]any
			}
		}
	}
	if answer.StatusCode != http.StatusOK || json.Unmarshal(body, &result) != nil || len(result.Data.Result) != 1 {
		return ""
	}
	value, _ := result.Data.Result[0].Value[1].(string)
	return value
}
