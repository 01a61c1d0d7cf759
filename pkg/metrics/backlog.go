package metrics

import (
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Unconfirmed is what GitLab has not confirmed yet of a runner's jobs.
type Unconfirmed struct {
	Results int       // of jobs that have ended
	Oldest  time.Time // when the first of those has ended; zero when there is none
	Memory  int64     // bytes of logs in memory
	Disk    int64     // and in temporary files
}

// A Backlog shows what GitLab has not confirmed yet. It is looked up when the
// metrics are read. It is safe for concurrent use.
type Backlog struct {
	results, oldest, bytes *prometheus.Desc

	mu      sync.Mutex
	sources []*source
}

type source struct {
	runner Runner
	look   func() Unconfirmed
}

// NewBacklog makes the metrics and registers them with reg.
func NewBacklog(reg prometheus.Registerer) *Backlog {
	b := &Backlog{
		results: prometheus.NewDesc("runnerd_undelivered_results",
			"Jobs that have ended and whose result GitLab has not confirmed yet.", labels(), nil),
		oldest: prometheus.NewDesc("runnerd_undelivered_results_oldest_seconds",
			"Time since the end of the job whose result waits longest for GitLab; 0 when none does.", labels(), nil),
		bytes: prometheus.NewDesc("runnerd_unconfirmed_log_bytes",
			"Bytes of job logs that are kept until GitLab has confirmed them, in memory and in temporary files.", labels("where"), nil),
	}
	reg.MustRegister(b)
	return b
}

// Watch shows what look returns as r's, until stop is called.
func (b *Backlog) Watch(r Runner, look func() Unconfirmed) (stop func()) {
	s := &source{r, look}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.sources = append(b.sources, s)
	return func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.sources = slices.DeleteFunc(b.sources, func(other *source) bool { return other == s })
	}
}

// Describe implements prometheus.Collector.
func (b *Backlog) Describe(out chan<- *prometheus.Desc) {
	out <- b.results
	out <- b.oldest
	out <- b.bytes
}

// Collect implements prometheus.Collector. A runner has two sources while the
// entry that a reload has replaced still has jobs.
func (b *Backlog) Collect(out chan<- prometheus.Metric) {
	b.mu.Lock()
	sources := slices.Clone(b.sources)
	b.mu.Unlock()
	sums := map[Runner]Unconfirmed{}
	for _, s := range sources {
		sum, more := sums[s.runner], s.look()
		sum.Results += more.Results
		sum.Memory += more.Memory
		sum.Disk += more.Disk
		if sum.Oldest.IsZero() || !more.Oldest.IsZero() && more.Oldest.Before(sum.Oldest) {
			sum.Oldest = more.Oldest
		}
		sums[s.runner] = sum
	}
	for r, sum := range sums {
		age := 0.0
		if !sum.Oldest.IsZero() {
			age = max(time.Since(sum.Oldest).Seconds(), 0)
		}
		gauge := func(d *prometheus.Desc, v float64, more ...string) {
			out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, r.values(more...)...)
		}
		gauge(b.results, float64(sum.Results))
		gauge(b.oldest, age)
		gauge(b.bytes, float64(sum.Memory), "memory")
		gauge(b.bytes, float64(sum.Disk), "disk")
	}
}
