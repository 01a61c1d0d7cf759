package kubernetes

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics count the requests to API servers. A nil *Metrics counts nothing.
type Metrics struct {
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
}

// NewMetrics registers the metrics with reg. Make them once a process.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	m := &Metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "runnerd_kubernetes_requests_total",
			Help: "Requests to the Kubernetes API server by the status of the answer; code is error when there was none.",
		}, []string{"verb", "resource", "code"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "runnerd_kubernetes_request_duration_seconds",
			Help:    "Time until the Kubernetes API server began to answer.",
			Buckets: []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30},
		}, []string{"verb", "resource"}),
	}
	reg.MustRegister(m.requests, m.seconds)
	return m
}

// wrap returns a transport that counts the requests of base.
func (m *Metrics) wrap(base http.RoundTripper) http.RoundTripper {
	if m == nil {
		return base
	}
	return &countingTransport{base, m}
}

type countingTransport struct {
	base    http.RoundTripper
	metrics *Metrics
}

func (t *countingTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	began := time.Now()
	answer, err := t.base.RoundTrip(req)
	code := "error"
	if err == nil {
		code = strconv.Itoa(answer.StatusCode)
	}
	verb, resource := whatIs(req)
	t.metrics.requests.WithLabelValues(verb, resource, code).Inc()
	t.metrics.seconds.WithLabelValues(verb, resource).Observe(time.Since(began).Seconds())
	return answer, err
}

// resources are those that runnerd has to do with, and subresources of theirs.
var resources = map[string]bool{
	"pods": true, "pods/log": true, "secrets": true, "events": true, "leases": true, "resourcequotas": true, "limitranges": true,
}

// whatIs returns a request's verb and resource as in the rules of a Role; resource
// is "other" for what runnerd does not ask for.
func whatIs(req *http.Request) (verb, resource string) {
	parts := strings.Split(strings.Trim(req.URL.Path, "/"), "/")
	for i := 0; i+2 < len(parts); i++ {
		if parts[i] == "namespaces" {
			parts = parts[i+2:]
			break
		}
	}
	named := len(parts) > 1
	resource = parts[0]
	if len(parts) > 2 {
		resource += "/" + parts[2]
	}
	if !resources[resource] {
		resource = "other"
	}
	switch req.Method {
	case http.MethodPost:
		return "create", resource
	case http.MethodPut:
		return "update", resource
	case http.MethodPatch:
		return "patch", resource
	case http.MethodDelete:
		return "delete", resource
	case http.MethodGet:
		switch {
		case req.URL.Query().Get("watch") == "true" || req.URL.Query().Get("watch") == "1":
			return "watch", resource
		case named:
			return "get", resource
		}
		return "list", resource
	}
	return "other", resource
}
