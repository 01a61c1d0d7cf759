package gitlab

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/runnerd/runnerd/pkg/job"
)

// Metrics count the calls of all clients. A nil *Metrics counts nothing.
type Metrics struct {
	statuses  *prometheus.CounterVec
	durations *prometheus.HistogramVec
	attempts  *prometheus.CounterVec
}

// NewMetrics registers the metrics with reg. Make them once a process.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	m := &Metrics{
		statuses: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gitlab_runner_api_request_statuses_total",
			Help: "Answers of GitLab by status; status is error when there was none.",
		}, []string{"runner", "system_id", "endpoint", "status", "method"}),
		durations: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "gitlab_runner_api_request_duration_seconds",
			Help:    "How long calls to GitLab took, with all their attempts.",
			Buckets: []float64{0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60},
		}, []string{"runner", "system_id", "endpoint", "status_class", "method"}),
		attempts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gitlab_runner_api_request_retries_total",
			Help: "Attempts of calls to GitLab, the first of each call included.",
		}, []string{"path", "method"}),
	}
	reg.MustRegister(m.statuses, m.durations, m.attempts)
	return m
}

// Endpoints as GitLab Runner names them.
const (
	endpointRequestJob = "request_job"
	endpointUpdateJob  = "update_job"
	endpointPatchTrace = "patch_trace"
	endpointResetToken = "reset_token"
	endpointFacts      = "facts" // runnerd's own: what a policy asks about jobs and projects
)

// An observer is the metrics of one client.
type observer struct {
	metrics  *Metrics
	runner   string
	systemID string
}

func (m *Metrics) observer(token job.Secret, systemID string) observer {
	return observer{metrics: m, runner: ShortToken(token), systemID: systemID}
}

// answered counts a call that is over; a status of 0 means no answer.
func (o observer) answered(endpoint, method string, status int, took time.Duration) {
	if o.metrics == nil {
		return
	}
	if status == 0 {
		o.metrics.statuses.WithLabelValues(o.runner, o.systemID, endpoint, "error", method).Inc()
		return
	}
	o.metrics.statuses.WithLabelValues(o.runner, o.systemID, endpoint, strconv.Itoa(status), method).Inc()
	class := strconv.Itoa(status/100) + "xx"
	o.metrics.durations.WithLabelValues(o.runner, o.systemID, endpoint, class, method).Observe(took.Seconds())
}

func (o observer) attempt(method, path string) {
	if o.metrics != nil {
		o.metrics.attempts.WithLabelValues(pathLabel(path), method).Inc()
	}
}

// pathLabel replaces numbers, so that each job does not make a series.
func pathLabel(path string) string {
	parts := strings.Split(path, "/")
	for i, part := range parts {
		if _, err := strconv.ParseUint(part, 10, 64); err == nil {
			parts[i] = "{id}"
		}
	}
	return strings.Join(parts, "/")
}

// An observedTransport counts calls as questions about jobs and projects.
type observedTransport struct {
	base     http.RoundTripper
	observer observer
}

func (t *observedTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	done := t.observer.observe(endpointFacts, req.Method)
	answer, err := t.base.RoundTrip(req)
	status := 0
	if err == nil {
		status = answer.StatusCode
	}
	done(status)
	return answer, err
}

// observe starts the clock of a call; the function it returns counts the call.
func (o observer) observe(endpoint, method string) func(status int) {
	start := time.Now()
	return func(status int) { o.answered(endpoint, method, status, time.Since(start)) }
}
