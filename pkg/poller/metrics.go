package poller

import (
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
)

// Labels name a runner entry in metrics and in the log.
type Labels struct {
	Runner     string // short token
	RunnerName string // name of the entry
	SystemID   string
}

// Metrics are those of all pollers, under GitLab Runner's names. A nil *Metrics
// counts nothing.
type Metrics struct {
	requests, hardLimit, adaptiveLimit, usedLimit *prometheus.GaugeVec
	exceeded, feeds, feedFailures, healthFailures *prometheus.CounterVec
	limits                                        *prometheus.GaugeVec
	slotOperations                                *prometheus.CounterVec
	paused                                        *prometheus.GaugeVec
	pauses                                        *prometheus.CounterVec
}

// NewMetrics registers the metrics with reg. Make them once a process; slots
// are those that all pollers share.
func NewMetrics(reg prometheus.Registerer, slots *Slots) *Metrics {
	short := []string{"runner", "system_id"}
	full := []string{"runner", "runner_name", "system_id"}
	gauge := func(name, help string, labels []string) *prometheus.GaugeVec {
		return prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, labels)
	}
	counter := func(name, help string, labels []string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	m := &Metrics{
		requests:       gauge("gitlab_runner_request_concurrency", "Open requests for a job.", short),
		hardLimit:      gauge("gitlab_runner_request_concurrency_hard_limit", "Most open requests, as configured.", short),
		adaptiveLimit:  gauge("gitlab_runner_request_concurrency_adaptive_limit", "Most open requests at the moment, before rounding up.", short),
		usedLimit:      gauge("gitlab_runner_request_concurrency_used_limit", "Most open requests at the moment.", short),
		exceeded:       counter("gitlab_runner_request_concurrency_exceeded_total", "Requests that were due but not sent, because enough were open.", short),
		feeds:          counter("gitlab_runner_worker_feeds_total", "Requests for a job.", full),
		feedFailures:   counter("gitlab_runner_worker_feed_failures_total", "Requests for a job that GitLab refused because of the runner's token.", full),
		healthFailures: counter("gitlab_runner_worker_health_check_failures_total", "Pauses because GitLab kept refusing the runner's token.", full),
		limits:         gauge("gitlab_runner_limit", "Most running jobs of the runner entry; 0 means no limit.", full),
		slotOperations: counter("gitlab_runner_worker_slot_operations_total", "Slots taken and freed by jobs.", []string{"operation"}),
	}
	reason := append(full, "reason")
	m.paused = gauge("runnerd_intake_paused", "1 while no jobs are asked for because the place where they run has no room, by what is lacking.", reason)
	m.pauses = counter("runnerd_intake_pauses_total", "Pauses because the place where jobs run had no room, by what was lacking.", reason)
	concurrent := func(name, help string) prometheus.GaugeFunc {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help},
			func() float64 { return float64(slots.Limit()) })
	}
	reg.MustRegister(m.requests, m.hardLimit, m.adaptiveLimit, m.usedLimit, m.exceeded, m.feeds,
		m.feedFailures, m.healthFailures, m.limits, m.slotOperations, m.paused, m.pauses,
		concurrent("gitlab_runner_concurrent", "Most running jobs of the daemon."),
		concurrent("gitlab_runner_worker_slots_number", "Slots for running jobs."))
	return m
}

// A meter is the metrics of one poller.
type meter struct {
	m *Metrics
	l Labels
}

func (m *Metrics) meter(l Labels) meter { return meter{m: m, l: l} }

func (r meter) short() []string { return []string{r.l.Runner, r.l.SystemID} }
func (r meter) full() []string  { return []string{r.l.Runner, r.l.RunnerName, r.l.SystemID} }

func (r meter) configured(s Settings) {
	if r.m == nil {
		return
	}
	r.m.hardLimit.WithLabelValues(r.short()...).Set(float64(s.RequestConcurrency))
	r.m.adaptiveLimit.WithLabelValues(r.short()...).Set(1)
	r.m.usedLimit.WithLabelValues(r.short()...).Set(1)
	r.m.feedFailures.WithLabelValues(r.full()...)
	r.m.healthFailures.WithLabelValues(r.full()...)
	r.m.exceeded.WithLabelValues(r.short()...)
	r.limit(s.Limit)
}

func (r meter) limit(limit int) {
	if r.m != nil {
		r.m.limits.WithLabelValues(r.full()...).Set(float64(limit))
	}
}

// open counts a request that is under way, until the returned call.
func (r meter) open() (done func()) {
	if r.m == nil {
		return func() {}
	}
	r.m.feeds.WithLabelValues(r.full()...).Inc()
	gauge := r.m.requests.WithLabelValues(r.short()...)
	gauge.Inc()
	return gauge.Dec
}

// running counts a job that has a slot, until the returned call.
func (r meter) running() (done func()) {
	if r.m == nil {
		return func() {}
	}
	r.m.slotOperations.WithLabelValues("started").Inc()
	return r.m.slotOperations.WithLabelValues("stopped").Inc
}

// paused counts that the reason for which no jobs are asked for was before and is
// now another; "" is none.
func (r meter) paused(before, now string) {
	if r.m == nil {
		return
	}
	if before != "" {
		r.m.paused.WithLabelValues(append(r.full(), before)...).Set(0)
	}
	if now != "" {
		r.m.paused.WithLabelValues(append(r.full(), now)...).Set(1)
		r.m.pauses.WithLabelValues(append(r.full(), now)...).Inc()
	}
}

// asked counts what came of a request.
func (r meter) asked(o outcome, plan *schedule) {
	if r.m == nil {
		return
	}
	r.m.adaptiveLimit.WithLabelValues(r.short()...).Set(plan.adaptive)
	r.m.usedLimit.WithLabelValues(r.short()...).Set(float64(plan.limit()))
	if o.status() == http.StatusForbidden {
		r.m.feedFailures.WithLabelValues(r.full()...).Inc()
		if plan.unhealthy >= plan.s.UnhealthyLimit {
			r.m.healthFailures.WithLabelValues(r.full()...).Inc()
		}
	}
}

// crowded counts a request that was due while enough were open.
func (r meter) crowded() {
	if r.m != nil {
		r.m.exceeded.WithLabelValues(r.short()...).Inc()
	}
}
