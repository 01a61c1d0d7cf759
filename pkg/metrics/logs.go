package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Logs measures how far GitLab is behind the logs of jobs. It is safe for concurrent
// use.
type Logs struct{ lag *prometheus.HistogramVec }

// NewLogs makes the metrics and registers them with reg.
func NewLogs(reg prometheus.Registerer) *Logs {
	return &Logs{maker{reg}.histogram("runnerd_log_lag_seconds",
		"Time from when a piece of a job's log was read until GitLab had it; GitLab itself asks for seconds to a minute of it.",
		[]float64{0.5, 1, 3, 5, 10, 30, 60, 90, 180, 600, 3600}, labels()...)}
}

// Of returns where r's lag is told.
func (l *Logs) Of(r Runner) func(time.Duration) {
	lag := l.lag.WithLabelValues(r.values()...)
	return func(d time.Duration) { lag.Observe(d.Seconds()) }
}
