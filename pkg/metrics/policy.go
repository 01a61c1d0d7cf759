package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Policy counts what the policy decides. It is safe for concurrent use.
type Policy struct {
	decisions *prometheus.CounterVec
	seconds   *prometheus.HistogramVec
}

// NewPolicy makes the policy's metrics and registers them with reg.
func NewPolicy(reg prometheus.Registerer) *Policy {
	p := &Policy{
		decisions: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "runnerd_policy_decisions_total", Help: "Jobs that the policy has decided about, by what came of it and the rule that decided.",
		}, []string{"runner", "runner_name", "outcome", "rule"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "runnerd_policy_seconds", Help: "Time that a decision took, with what was asked of GitLab and registries.",
			Buckets: []float64{.001, .005, .02, .05, .1, .25, .5, 1, 2.5, 5, 10, 30},
		}, []string{"runner", "runner_name"}),
	}
	reg.MustRegister(p.decisions, p.seconds)
	return p
}

// Decided counts one decision.
func (p *Policy) Decided(r Runner, outcome, rule string, took time.Duration) {
	p.decisions.WithLabelValues(r.ShortToken, r.Name, outcome, rule).Inc()
	p.seconds.WithLabelValues(r.ShortToken, r.Name).Observe(took.Seconds())
}
