package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/runnerd/runnerd/internal/standin"
	"github.com/runnerd/runnerd/pkg/poller"
)

// theirs are GitLab Runner's metrics with their labels, in order of the alphabet.
// Those of its job router, of AWS roles and of pause pods are not among them: runnerd
// has nothing that they could tell of; nor is the threshold of [runners.monitoring].
var theirs = map[string]string{
	"gitlab_runner_jobs":                                    "executor_stage runner runner_name stage state system_id",
	"gitlab_runner_jobs_total":                              "runner runner_name system_id",
	"gitlab_runner_failed_jobs_total":                       "failure_reason mode runner runner_name",
	"gitlab_runner_job_execution_mode_total":                "executor mode",
	"gitlab_runner_job_duration_seconds":                    "mode runner runner_name system_id",
	"gitlab_runner_job_queue_duration_seconds":              "project_jobs_running runner runner_name system_id",
	"gitlab_runner_job_queue_size":                          "runner runner_name system_id",
	"gitlab_runner_job_queue_depth":                         "runner runner_name system_id",
	"gitlab_runner_job_stage_duration_seconds":              "runner runner_name stage system_id",
	"gitlab_runner_request_concurrency":                     "runner system_id",
	"gitlab_runner_request_concurrency_exceeded_total":      "runner system_id",
	"gitlab_runner_request_concurrency_hard_limit":          "runner system_id",
	"gitlab_runner_request_concurrency_adaptive_limit":      "runner system_id",
	"gitlab_runner_request_concurrency_used_limit":          "runner system_id",
	"gitlab_runner_concurrent":                              "",
	"gitlab_runner_limit":                                   "runner runner_name system_id",
	"gitlab_runner_worker_feeds_total":                      "runner runner_name system_id",
	"gitlab_runner_worker_feed_failures_total":              "runner runner_name system_id",
	"gitlab_runner_worker_slots_number":                     "",
	"gitlab_runner_worker_slot_operations_total":            "operation",
	"gitlab_runner_worker_processing_failures_total":        "failure_type runner runner_name system_id",
	"gitlab_runner_worker_health_check_failures_total":      "runner runner_name system_id",
	"gitlab_runner_api_request_statuses_total":              "endpoint method runner status system_id",
	"gitlab_runner_api_request_duration_seconds":            "endpoint method runner status_class system_id",
	"gitlab_runner_api_request_retries_total":               "method path",
	"gitlab_runner_errors_total":                            "level",
	"gitlab_runner_version_info":                            "architecture branch built_at go_version name os revision version",
	"gitlab_runner_process_state_info":                      "state",
	"gitlab_runner_configuration_loaded_total":              "",
	"gitlab_runner_configuration_loading_error_total":       "",
	"gitlab_runner_configuration_saved_total":               "",
	"gitlab_runner_configuration_saving_error_total":        "",
	"gitlab_runner_job_inputs_interpolations_total":         "",
	"gitlab_runner_job_inputs_interpolation_failures_total": "error_type",
}

// A family is a metric as the daemon registers it.
type family struct{ kind, labels, help string }

// A register notes what is registered with it.
type register struct {
	t        *testing.T
	families map[string]family
}

var described = regexp.MustCompile(`^Desc\{fqName: "([^"]*)", help: ("(?:[^"\\]|\\.)*"),.* constLabels: \{[^}]*\}, variableLabels: \{([^}]*)\}`)

func (r *register) Register(c prometheus.Collector) error {
	kind := "gauge"
	switch c.(type) {
	case prometheus.Gauge: // it can do all that a Counter can
	case *prometheus.CounterVec, prometheus.Counter:
		kind = "counter"
	case *prometheus.HistogramVec, prometheus.Histogram:
		kind = "histogram"
	}
	descs := make(chan *prometheus.Desc, 1000)
	c.Describe(descs)
	close(descs)
	for d := range descs {
		m := described.FindStringSubmatch(d.String())
		if m == nil {
			r.t.Fatalf("description %s", d)
		}
		if strings.HasPrefix(m[1], "go_") || strings.HasPrefix(m[1], "process_") {
			continue // client_golang's own
		}
		var help string
		if err := json.Unmarshal([]byte(m[2]), &help); err != nil {
			r.t.Fatal(err)
		}
		labels := strings.FieldsFunc(m[3], func(c rune) bool { return c == ',' || c == ' ' })
		slices.Sort(labels)
		r.families[m[1]] = family{kind, strings.Join(labels, " "), help}
	}
	return nil
}

func (r *register) MustRegister(list ...prometheus.Collector) {
	for _, c := range list {
		if err := r.Register(c); err != nil {
			panic(err)
		}
	}
}

func (r *register) Unregister(prometheus.Collector) bool { return false }

// families are all metrics of the daemon.
func families(t *testing.T) map[string]family {
	t.Helper()
	r := &register{t, map[string]family{}}
	(&daemon{slots: poller.NewSlots(1)}).count(r)
	return r.families
}

// TestGitLabRunnersMetrics: what its dashboards ask for is there, with the labels
// that they know.
func TestGitLabRunnersMetrics(t *testing.T) {
	have := families(t)
	for name, labels := range theirs {
		switch f, ok := have[name]; {
		case !ok:
			t.Errorf("%s is missing", name)
		case f.labels != labels:
			t.Errorf("%s has labels %q, want %q", name, f.labels, labels)
		}
	}
	for name := range have {
		if strings.HasPrefix(name, "gitlab_runner_") && theirs[name] == "" {
			if _, ok := theirs[name]; !ok {
				t.Errorf("%s is no metric of GitLab Runner's", name)
			}
		}
	}
}

const (
	tableBegin = "<!-- metrics: written by a test -->\n"
	tableEnd   = "<!-- end of metrics -->\n"
)

// TestMetricsTable: docs/observability.md lists every metric.
func TestMetricsTable(t *testing.T) {
	const file = "../../docs/observability.md"
	have, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var table strings.Builder
	table.WriteString("| metric | type | labels | meaning |\n| --- | --- | --- | --- |\n")
	all := families(t)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		f := all[name]
		fmt.Fprintf(&table, "| `%s` | %s | %s | %s |\n", name, f.kind, strings.ReplaceAll(f.labels, " ", ", "), f.help)
	}
	before, rest, ok := bytes.Cut(have, []byte(tableBegin))
	_, behind, closed := bytes.Cut(rest, []byte(tableEnd))
	if !ok || !closed {
		t.Fatalf("%s has no marks for the table", file)
	}
	want := slices.Concat(before, []byte(tableBegin+table.String()+tableEnd), behind)
	if *update {
		if err := os.WriteFile(file, want, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if !bytes.Equal(have, want) {
		t.Errorf("%s is not what the daemon registers; run go test ./cmd/runnerd -run MetricsTable -update", file)
	}
}

// scrape is what a Prometheus gets of the daemon.
func (r *instance) scrape() string {
	r.Helper()
	answer := httptest.NewRecorder()
	r.daemon.status.Handler(r.daemon.registry, false).ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/metrics", http.NoBody))
	if answer.Code != http.StatusOK {
		r.Fatalf("/metrics answers %d: %s", answer.Code, answer.Body)
	}
	return answer.Body.String()
}

// TestMetricsOfJobs: what jobs leave in the metrics, and promtool has nothing to say
// about it but for names that are GitLab Runner's.
func TestMetricsOfJobs(t *testing.T) {
	t.Parallel()
	s := newSite(t, standin.Options{Concurrent: 1}, standin.RunnerSpec{})
	d := s.start(s.configText(""))
	s.ends(s.gitlab.AddJob(standin.JobSpec{Script: []string{"echo hello"}, AfterScript: []string{"echo bye"}}), standin.Success, "")
	s.ends(s.gitlab.AddJob(standin.JobSpec{Script: []string{"exit 3"}}), standin.Failed, "script_failure")
	inputs := func(p map[string]any) {
		p["inputs"] = []any{map[string]any{"key": "name", "value": map[string]any{"type": "string", "content": "x"}}}
	}
	s.ends(s.gitlab.AddJob(standin.JobSpec{Script: []string{"echo ${{ job.inputs.name }}"}, Mutate: inputs}), standin.Success, "")
	s.ends(s.gitlab.AddJob(standin.JobSpec{Script: []string{"echo ${{ job.inputs.nobody }}"}, Mutate: inputs}), standin.Failed, "runner_configuration_error")
	d.drain()
	if err := d.wait(); err != nil {
		t.Fatal(err)
	}
	text := d.scrape()
	for _, want := range []string{
		`gitlab_runner_job_execution_mode_total\{executor="local",mode="traditional"\} 4`,
		`gitlab_runner_worker_processing_failures_total\{failure_type="job_failure",.*\} 2`,
		`gitlab_runner_worker_processing_failures_total\{failure_type="other",.*\} 0`,
		`gitlab_runner_job_inputs_interpolations_total 1`,
		`gitlab_runner_job_inputs_interpolation_failures_total\{error_type="unknown_input"\} 1`,
		`gitlab_runner_jobs\{executor_stage="",.*stage="",state="idle",.*\} 0`,
		`gitlab_runner_job_stage_duration_seconds_count\{.*stage="prepare_executor",.*\} 3`,
		`gitlab_runner_job_stage_duration_seconds_count\{.*stage="step_script",.*\} 3`,
		`gitlab_runner_job_stage_duration_seconds_count\{.*stage="after_script",.*\} 1`,
		`runnerd_job_phase_duration_seconds_count\{phase="queue",.*\} 4`,
		`runnerd_job_phase_duration_seconds_count\{phase="judge",.*\} 3`,
		`runnerd_job_phase_duration_seconds_count\{phase="clone",.*\} 3`,
		`runnerd_job_phase_duration_seconds_count\{phase="script",.*\} 3`,
		`runnerd_job_phase_duration_seconds_count\{phase="report",.*\} 4`,
		`runnerd_log_lag_seconds_count\{.*\} [1-9][0-9]*`,
		`gitlab_runner_errors_total\{level="error"\} 0`,
	} {
		if !regexp.MustCompile(`(?m)^` + want + `$`).MatchString(text) {
			t.Errorf("no series %s in\n%s", want, regexp.MustCompile(`(?m)^(#|go_|process_).*\n|.*_bucket.*\n`).ReplaceAllString(text, ""))
		}
	}
	promtool, err := exec.LookPath("promtool")
	if err != nil {
		t.Skip("promtool is not installed; Debian's package prometheus has it")
	}
	check := exec.CommandContext(s.ctx, promtool, "check", "metrics")
	check.Stdin = strings.NewReader(text)
	out, err := check.CombinedOutput()
	for line := range strings.Lines(string(out)) {
		if !strings.HasPrefix(line, "gitlab_runner_") {
			t.Errorf("promtool check metrics: %s", line)
		}
	}
	if len(out) == 0 && err != nil {
		t.Error(err)
	}
}

// ofTheDaemon are lines that are about no job.
var ofTheDaemon = []string{
	"runnerd started", "runnerd stopped", "draining: no new jobs", "stopping: jobs in pods", "configuration", "serving metrics and health",
}

// TestJobInEveryLine: each line of the daemon's log that is about a job names it, in
// both formats.
func TestJobInEveryLine(t *testing.T) {
	t.Parallel()
	for _, format := range []string{"json", "text"} {
		t.Run(format, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, standin.Options{Concurrent: 1}, standin.RunnerSpec{})
			d := s.start(s.configText("log_level = \"debug\"\nlog_format = \"" + format + "\""))
			s.gitlab.Inject(standin.Fault{Endpoint: standin.UpdateJob, Status: http.StatusInternalServerError})
			j := s.gitlab.AddJob(standin.JobSpec{Script: []string{"echo hello"}})
			s.ends(j, standin.Success, "")
			s.ends(s.gitlab.AddJob(standin.JobSpec{Script: []string{"exit 3"}}), standin.Failed, "script_failure")
			d.drain()
			if err := d.wait(); err != nil {
				t.Fatal(err)
			}
			named := 0
			for line := range strings.Lines(d.log.String()) {
				switch about, message := jobOf(t, format, line); {
				case about:
					named++
				case !slices.ContainsFunc(ofTheDaemon, func(text string) bool { return strings.HasPrefix(message, text) }):
					t.Errorf("a line without a job: %s", line)
				}
			}
			if named < 6 {
				t.Errorf("%d lines name a job:\n%s", named, d.log)
			}
		})
	}
}

// jobOf reads one line of the log: whether it names a job, and its message.
func jobOf(t *testing.T, format, line string) (about bool, message string) {
	t.Helper()
	fields := line
	if format == "text" {
		columns := strings.SplitN(line, "\t", 4) // time, level, message, fields
		if len(columns) < 3 {
			t.Fatalf("line %q", line)
		}
		message, fields = strings.TrimSpace(columns[2]), "{}"
		if len(columns) == 4 {
			fields = columns[3]
		}
	}
	var values map[string]any
	if err := json.Unmarshal([]byte(fields), &values); err != nil {
		t.Fatalf("line %q: %v", line, err)
	}
	if format == "json" {
		message, _ = values["msg"].(string)
	}
	_, about = values["job"].(float64)
	return about, message
}
