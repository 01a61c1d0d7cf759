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
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/runnerd/runnerd/internal/standin"
)

// TestPrometheus: a real Prometheus scrapes the daemon and finds the jobs, evaluates
// the alerts that are shipped, and answers each query of the dashboard; promtool has
// nothing to say about the metrics.
func TestPrometheus(t *testing.T) {
	t.Parallel()
	_, cache := bucket(t)
	s := start(t, options{cache: cache})
	api := startPrometheus(t, s.listen)
	s.finish(s.add(standin.JobSpec{Name: "counted", Script: []string{"exit 3"}}), standin.Failed)
	kept := []standin.Cache{{Key: "deps", Paths: []string{"deps/"}, Policy: "pull-push", When: "on_success"}}
	for range 2 {
		s.finish(s.add(standin.JobSpec{Name: "cached", Script: []string{"mkdir -p deps; date >> deps/file"}, AfterScript: []string{"true"}, Cache: kept}), standin.Success)
	}

	text, err := s.get("/metrics")
	if err != nil {
		t.Fatal(err)
	}
	check := exec.Command("promtool", "check", "metrics")
	check.Stdin = strings.NewReader(text)
	if out, err := check.CombinedOutput(); err != nil && !onlyInheritedNames(string(out)) {
		t.Errorf("promtool check metrics: %v\n%s", err, out)
	}

	const phase = `sum(runnerd_job_phase_duration_seconds_count{phase="`
	for query, want := range map[string]string{
		`up{job="runnerd"}`:                           "1",
		`gitlab_runner_jobs_total{runner_name="e2e"}`: "3",
		`gitlab_runner_failed_jobs_total{runner_name="e2e",failure_reason="script_failure"}`: "1",
		`sum(gitlab_runner_jobs)`:  "0",
		`gitlab_runner_concurrent`: "4",
		`sum(gitlab_runner_api_request_statuses_total{endpoint="request_job",status="201"})`:          "3",
		`sum(gitlab_runner_job_stage_duration_seconds_count{stage="step_script"})`:                    "3",
		`gitlab_runner_process_state_info{state="running"}`:                                           "1",
		`sum(runnerd_kubernetes_requests_total{verb="create",resource="pods",code="201"})`:            "3",
		`sum(runnerd_kubernetes_requests_total{resource="other"}) or vector(0)`:                       "0",
		`sum(runnerd_kubernetes_requests_total{verb="get",resource="pods/log",code="200"}) >= bool 3`: "1",
		phase + `queue"})`: "3", phase + `judge"})`: "3", phase + `create"})`: "3", phase + `schedule"})`: "3", phase + `pull"})`: "3",
		phase + `clone"})`: "3", phase + `restore"})`: "2", phase + `script"})`: "3", phase + `after_script"})`: "2", phase + `save"})`: "2", phase + `report"})`: "3",
		`runnerd_log_lag_seconds_count >= bool 3`: "1",
	} {
		var got string
		wait(t, fmt.Sprintf("%s to be %s", query, want), func() bool {
			got = ask(t, api, query)
			return got == want
		})
	}
	checkDashboard(t, api)
	checkAlerts(t, api)
}

// repository returns the path of a file of this repository.
func repository(path string) string { return filepath.Join("..", "..", path) }

// quiet are series of the dashboard that are there only once something has gone
// wrong.
var quiet = regexp.MustCompile(`runnerd_cache_failures_total|runnerd_intake_paused|runnerd_jobs_given_back_total`)

// checkDashboard asks what the dashboard asks: there are no errors, and there is data.
func checkDashboard(t *testing.T, api string) {
	t.Helper()
	text, err := os.ReadFile(repository("deploy/components/grafana/dashboard.json"))
	if err != nil {
		t.Fatal(err)
	}
	var dashboard struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal(text, &dashboard); err != nil {
		t.Fatal(err)
	}
	asked := 0
	for _, panel := range dashboard.Panels {
		for _, target := range panel.Targets {
			asked++
			query := strings.NewReplacer("$__rate_interval", "5m", "$runner", ".*").Replace(target.Expr)
			var answer struct {
				Status, Error string
				Data          struct{ Result []any }
			}
			fetchJSON(t, api+"/api/v1/query?query="+url.QueryEscape(query), &answer)
			switch {
			case answer.Status != "success":
				t.Errorf("panel %q: %s: %s", panel.Title, query, answer.Error)
			case len(answer.Data.Result) == 0 && !quiet.MatchString(query):
				t.Errorf("panel %q: %s has no data", panel.Title, query)
			}
		}
	}
	if asked < 20 {
		t.Errorf("the dashboard has %d queries", asked)
	}
}

// checkAlerts looks at the rules as Prometheus has evaluated them. There is one
// replica, so that one alert is on its way; no other is.
func checkAlerts(t *testing.T, api string) {
	t.Helper()
	type rule struct{ Name, State, Health, LastError, LastEvaluation string }
	var answer struct {
		Data struct{ Groups []struct{ Rules []rule } }
	}
	wait(t, "the rules to be evaluated", func() bool {
		fetchJSON(t, api+"/api/v1/rules", &answer)
		return len(answer.Data.Groups) == 1 && !slices.ContainsFunc(answer.Data.Groups[0].Rules, func(r rule) bool { return r.Health == "unknown" })
	})
	rules := answer.Data.Groups[0].Rules
	if len(rules) < 13 {
		t.Errorf("%d alerts", len(rules))
	}
	for _, r := range rules {
		want := "inactive"
		if r.Name == "RunnerdReplicaMissing" {
			want = "pending"
		}
		if r.Health != "ok" || r.State != want {
			t.Errorf("alert %s is %s, want %s; health %s %s", r.Name, r.State, want, r.Health, r.LastError)
		}
	}
}

// fetchJSON reads a JSON answer, whatever its status.
func fetchJSON(t *testing.T, from string, into any) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, from, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if err := json.NewDecoder(answer.Body).Decode(into); err != nil {
		t.Fatalf("%s: %v", from, err)
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

// startPrometheus scrapes target, and evaluates the alerts that are shipped, until the test ends, and returns the server's URL.
func startPrometheus(t *testing.T, target string) string {
	t.Helper()
	dir := t.TempDir()
	config := filepath.Join(dir, "prometheus.yml")
	text := fmt.Sprintf("global: {scrape_interval: 1s, evaluation_interval: 1s}\nrule_files: [rules.yml]\n"+
		"scrape_configs: [{job_name: runnerd, static_configs: [{targets: [%q]}]}]\n", target)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var shipped struct{ Spec any }
	rules, err := os.ReadFile(repository("deploy/components/prometheus/rules.yaml"))
	if err == nil {
		err = yaml.Unmarshal(rules, &shipped)
	}
	if err == nil {
		rules, err = yaml.Marshal(shipped.Spec)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "rules.yml"), rules, 0o600)
	}
	if err != nil {
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
