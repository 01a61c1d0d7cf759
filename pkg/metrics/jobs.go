// Package metrics counts what runnerd does, under GitLab Runner's metric names
// wherever one exists, so that dashboards and alerts go on working.
package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Runner identifies a [[runners]] entry in labels.
type Runner struct {
	ShortToken string
	Name       string
	SystemID   string
}

func (r Runner) values(more ...string) []string {
	return append([]string{r.ShortToken, r.Name, r.SystemID}, more...)
}

// Jobs counts jobs. It is safe for concurrent use.
type Jobs struct {
	running       *prometheus.GaugeVec
	total         *prometheus.CounterVec
	failed        *prometheus.CounterVec
	duration      *prometheus.HistogramVec
	queueDuration *prometheus.HistogramVec
	queueSize     *prometheus.GaugeVec
	queueDepth    *prometheus.GaugeVec
	stage         *prometheus.HistogramVec
	remade        *prometheus.CounterVec
	adopted       *prometheus.CounterVec
	gaveBack      *prometheus.CounterVec
}

var (
	runnerLabels    = []string{"runner", "runner_name", "system_id"}
	durationBuckets = []float64{30, 60, 300, 600, 1800, 3600, 7200, 10800, 18000, 36000}
	stageBuckets    = []float64{0.1, 0.3, 1, 3, 10, 30, 60, 120, 300, 900, 1800, 3600}
	queueBuckets    = []float64{1, 3, 10, 30, 60, 120, 300, 900, 1800, 3600}
)

func labels(more ...string) []string { return append(append([]string{}, runnerLabels...), more...) }

// NewJobs makes the job metrics and registers them with reg.
func NewJobs(reg prometheus.Registerer) *Jobs {
	j := &Jobs{
		running: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "gitlab_runner_jobs", Help: "Jobs that are running now, by the stage that they are in.",
		}, labels("state", "stage", "executor_stage")),
		total: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gitlab_runner_jobs_total", Help: "Jobs that were handled.",
		}, labels()),
		failed: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gitlab_runner_failed_jobs_total", Help: "Jobs that failed, by runnerd's own failure reason.",
		}, []string{"runner", "runner_name", "failure_reason", "mode"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "gitlab_runner_job_duration_seconds", Help: "From a job's arrival to its end.", Buckets: durationBuckets,
		}, labels("mode")),
		queueDuration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "gitlab_runner_job_queue_duration_seconds", Help: "How long jobs waited at GitLab.", Buckets: queueBuckets,
		}, labels("project_jobs_running")),
		queueSize: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "gitlab_runner_job_queue_size", Help: "Size of GitLab's queue when the last job was handed out.",
		}, labels()),
		queueDepth: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "gitlab_runner_job_queue_depth", Help: "Depth in GitLab's queue of the last job that was handed out.",
		}, labels()),
		stage: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "gitlab_runner_job_stage_duration_seconds", Help: "Duration of each stage of a job.", Buckets: stageBuckets,
		}, labels("stage")),
		remade: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "runnerd_job_pods_remade_total", Help: "Pods that were made again because the cluster lost them before the job's script began.",
		}, labels()),
		adopted: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "runnerd_jobs_adopted_total", Help: "Jobs that another process has begun and this one has gone on with.",
		}, labels()),
	}
	j.gaveBack = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "runnerd_jobs_given_back_total", Help: "Jobs that GitLab got back before they ran, by what was lacking.",
	}, labels("reason"))
	reg.MustRegister(j.gaveBack, j.running, j.total, j.failed, j.duration, j.queueDuration, j.queueSize, j.queueDepth, j.stage, j.remade, j.adopted)
	return j
}

// Received is what GitLab says about the queue when it hands a job out.
type Received struct {
	QueueTime          time.Duration
	QueueSize          int
	QueueDepth         int
	ProjectJobsRunning string
}

// Start counts a job in. The caller moves the Job through its stages and ends it.
func (m *Jobs) Start(r Runner, got Received) *Job {
	m.total.WithLabelValues(r.values()...).Inc()
	m.queueDuration.WithLabelValues(r.values(got.ProjectJobsRunning)...).Observe(got.QueueTime.Seconds())
	m.queueSize.WithLabelValues(r.values()...).Set(float64(got.QueueSize))
	m.queueDepth.WithLabelValues(r.values()...).Set(float64(got.QueueDepth))
	j := &Job{metrics: m, runner: r, started: time.Now()}
	j.enter("prepare_executor", "prepare")
	return j
}

// A Job is one running job's place in the metrics. It is not safe for
// concurrent use.
type Job struct {
	metrics *Jobs
	runner  Runner
	started time.Time
	gauge   prometheus.Gauge
	stage   string
	entered time.Time
}

func (j *Job) enter(stage, executorStage string) {
	j.leave()
	j.stage, j.entered = stage, time.Now()
	j.gauge = j.metrics.running.WithLabelValues(j.runner.values("running", stage, executorStage)...)
	j.gauge.Inc()
}

func (j *Job) leave() {
	if j.gauge != nil {
		j.gauge.Dec()
		j.metrics.stage.WithLabelValues(j.runner.values(j.stage)...).Observe(time.Since(j.entered).Seconds())
		j.gauge = nil
	}
}

// Stage says that the job is in the named stage now.
func (j *Job) Stage(name string) { j.enter(name, "prepare") }

// Remade says that the job's pod is made again.
func (j *Job) Remade() { j.metrics.remade.WithLabelValues(j.runner.values()...).Inc() }

// Adopted says that another process has begun the job.
func (j *Job) Adopted() { j.metrics.adopted.WithLabelValues(j.runner.values()...).Inc() }

// Leave ends the job's place here; another process goes on with it.
func (j *Job) Leave() { j.leave() }

// GaveBack counts the job out that GitLab has again, because of what was lacking.
func (j *Job) GaveBack(why string) {
	j.leave()
	j.metrics.gaveBack.WithLabelValues(j.runner.values(why)...).Inc()
}

// Finish counts the job out. reason is empty when it succeeded.
func (j *Job) Finish(reason string) {
	j.leave()
	j.metrics.duration.WithLabelValues(j.runner.values("traditional")...).Observe(time.Since(j.started).Seconds())
	if reason != "" {
		j.metrics.failed.WithLabelValues(j.runner.ShortToken, j.runner.Name, reason, "traditional").Inc()
	}
}
