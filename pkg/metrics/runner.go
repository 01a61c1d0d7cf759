// Package metrics counts what runnerd does, under GitLab Runner's metric names
// wherever one exists, so that dashboards and alerts go on working.
package metrics

import "github.com/prometheus/client_golang/prometheus"

// Runner identifies a [[runners]] entry in labels.
type Runner struct {
	ShortToken string
	Name       string
	SystemID   string
}

var runnerLabels = []string{"runner", "runner_name", "system_id"}

func labels(more ...string) []string { return append(append([]string{}, runnerLabels...), more...) }

func (r Runner) values(more ...string) []string {
	return append([]string{r.ShortToken, r.Name, r.SystemID}, more...)
}

// A maker makes collectors and registers them.
type maker struct{ reg prometheus.Registerer }

func (m maker) gauge(name, help string, labels ...string) *prometheus.GaugeVec {
	return register(m, prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, labels))
}

func (m maker) counter(name, help string, labels ...string) *prometheus.CounterVec {
	return register(m, prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels))
}

func (m maker) histogram(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
	return register(m, prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets}, labels))
}

func register[C prometheus.Collector](m maker, c C) C {
	m.reg.MustRegister(c)
	return c
}
