package cache

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/runnerd/runnerd/pkg/job"
)

// Metrics are those of the caches of all runners. A nil *Metrics counts nothing.
type Metrics struct {
	restores, saves, bytes, failures *prometheus.CounterVec
	sweptBytes, sweptObjects         *prometheus.CounterVec
	seconds                          *prometheus.HistogramVec
}

// NewMetrics registers the metrics with reg. Make them once a process.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, append([]string{"runner", "runner_name"}, labels...))
	}
	m := &Metrics{
		restores:     counter("runnerd_cache_restores_total", "Caches that jobs have asked for, by what came of it.", "result"),
		saves:        counter("runnerd_cache_saves_total", "Caches that jobs could save, by what came of it.", "result"),
		bytes:        counter("runnerd_cache_bytes_total", "Bytes of caches between pods and the store, compressed.", "direction"),
		failures:     counter("runnerd_cache_failures_total", "Cache operations that failed, by reason.", "operation", "reason"),
		sweptBytes:   counter("runnerd_cache_swept_bytes_total", "Bytes of unused layers that the sweep has deleted."),
		sweptObjects: counter("runnerd_cache_swept_objects_total", "Objects that the sweep has deleted."),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "runnerd_cache_seconds", Help: "Time that cache operations took.",
			Buckets: []float64{.005, .02, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 180, 600},
		}, []string{"runner", "runner_name", "operation"}),
	}
	reg.MustRegister(m.restores, m.saves, m.bytes, m.failures, m.sweptBytes, m.sweptObjects, m.seconds)
	return m
}

// The operations in metrics.
const (
	opLookup  = "lookup"
	opRestore = "restore"
	opSave    = "save"
	opPublish = "publish"
	opSweep   = "sweep"
)

// saveRefused is a save that the pod has finished and the daemon has not
// published.
const saveRefused = "refused"

// A meter is the metrics of one runner.
type meter struct {
	m            *Metrics
	runner, name string
}

func (r meter) took(operation string, d time.Duration) {
	if r.m != nil {
		r.m.seconds.WithLabelValues(r.runner, r.name, operation).Observe(d.Seconds())
	}
}

func (r meter) failed(operation string, reason job.CacheCode) {
	if r.m != nil {
		r.m.failures.WithLabelValues(r.runner, r.name, operation, string(known(reason))).Inc()
	}
}

// restored counts what a pod says of a restore.
func (r meter) restored(e job.CacheRestored) {
	if r.m == nil {
		return
	}
	result := e.Result
	switch result {
	case job.CacheHitPrimary, job.CacheHitFallback:
		r.m.bytes.WithLabelValues(r.runner, r.name, "restored").Add(float64(max(e.Bytes, 0)))
		r.took(opRestore, max(e.Took, 0))
	case job.CacheMiss:
	case job.CacheDenied, job.CacheBroken:
		r.failed(opRestore, e.Code)
	default:
		result = job.CacheBroken
	}
	r.m.restores.WithLabelValues(r.runner, r.name, string(result)).Inc()
}

// saved counts a save that is over, with what was published of it.
func (r meter) saved(e job.CacheSaved, bytes int64) {
	if r.m == nil {
		return
	}
	result := e.Result
	switch result {
	case job.SaveFull, job.SaveDelta:
		r.m.bytes.WithLabelValues(r.runner, r.name, "saved").Add(float64(bytes))
		r.took(opSave, max(e.Took, 0))
	case job.SaveUnchanged:
		r.took(opSave, max(e.Took, 0))
	case job.SaveEmpty, job.SaveSkipped:
	default:
		result = job.SaveFailed
		r.failed(opSave, e.Code)
	}
	r.m.saves.WithLabelValues(r.runner, r.name, string(result)).Inc()
}

// refused counts a save that was not published.
func (r meter) refused(reason job.CacheCode) {
	if r.m != nil {
		r.m.saves.WithLabelValues(r.runner, r.name, saveRefused).Inc()
		r.failed(opPublish, reason)
	}
}

func (r meter) swept(objects int, bytes int64) {
	if r.m != nil {
		r.m.sweptObjects.WithLabelValues(r.runner, r.name).Add(float64(objects))
		r.m.sweptBytes.WithLabelValues(r.runner, r.name).Add(float64(bytes))
	}
}

// known keeps labels to those that this program has: a code comes from a pod.
func known(c job.CacheCode) job.CacheCode {
	switch c {
	case job.CodeMiss, job.CodeDenied, job.CodeExpired, job.CodeNetwork, job.CodeCorrupt, job.CodeTooLarge, job.CodeUnsafe,
		job.CodeDiskFull, job.CodeTimeout, job.CodeChanged, job.CodeConflict:
		return c
	}
	return job.CodeInternal
}
