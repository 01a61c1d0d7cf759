package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Jobs counts jobs. It is safe for concurrent use.
type Jobs struct {
	running, queueSize, queueDepth                 *prometheus.GaugeVec
	total, failed, modes, failures                 *prometheus.CounterVec
	remade, adopted, gaveBack, lost, inputFailures *prometheus.CounterVec
	duration, queueDuration, stage, phase          *prometheus.HistogramVec
	inputs                                         prometheus.Counter
}

var (
	durationBuckets = []float64{30, 60, 300, 600, 1800, 3600, 7200, 10800, 18000, 36000}
	stageBuckets    = []float64{0.1, 0.3, 1, 3, 10, 30, 60, 120, 300, 900, 1800, 3600}
	queueBuckets    = []float64{1, 3, 10, 30, 60, 120, 300, 900, 1800, 3600}
)

// mode is what GitLab Runner calls jobs that are scripts.
const mode = "traditional"

// NewJobs makes the job metrics and registers them with reg.
func NewJobs(reg prometheus.Registerer) *Jobs {
	m := maker{reg}
	j := &Jobs{
		running: m.gauge("gitlab_runner_jobs", "Jobs that are running now, by the stage that they are in.", labels("state", "stage", "executor_stage")...),
		total:   m.counter("gitlab_runner_jobs_total", "Jobs that were handled.", labels()...),
		failed: m.counter("gitlab_runner_failed_jobs_total", "Jobs that failed, by runnerd's own failure reason.",
			"runner", "runner_name", "failure_reason", "mode"),
		modes:    m.counter("gitlab_runner_job_execution_mode_total", "Jobs by how they are carried out.", "mode", "executor"),
		failures: m.counter("gitlab_runner_worker_processing_failures_total", "Jobs that were handled and did not succeed.", append([]string{"failure_type"}, runnerLabels...)...),
		duration: m.histogram("gitlab_runner_job_duration_seconds", "From a job's arrival to its end.", durationBuckets, labels("mode")...),
		queueDuration: m.histogram("gitlab_runner_job_queue_duration_seconds", "How long jobs waited at GitLab.", queueBuckets,
			labels("project_jobs_running")...),
		queueSize:  m.gauge("gitlab_runner_job_queue_size", "Size of GitLab's queue when the last job was handed out.", labels()...),
		queueDepth: m.gauge("gitlab_runner_job_queue_depth", "Depth in GitLab's queue of the last job that was handed out.", labels()...),
		stage:      m.histogram("gitlab_runner_job_stage_duration_seconds", "Duration of each stage of a job.", stageBuckets, labels("stage")...),
		phase: m.histogram("runnerd_job_phase_duration_seconds", "Where the time of jobs goes: each part of a job, from GitLab's queue to the report.",
			stageBuckets, labels("phase")...),
		remade: m.counter("runnerd_job_pods_remade_total",
			"Pods that were made again because the cluster lost them before the job's script began.", labels()...),
		adopted:  m.counter("runnerd_jobs_adopted_total", "Jobs that another process has begun and this one has gone on with.", labels()...),
		gaveBack: m.counter("runnerd_jobs_given_back_total", "Jobs that GitLab got back before they ran, by what was lacking.", labels("reason")...),
		lost:     m.counter("runnerd_log_lost_bytes_total", "Bytes of job logs that nobody can read any more.", labels()...),
		inputFailures: m.counter("gitlab_runner_job_inputs_interpolation_failures_total",
			"Jobs whose inputs could not be put into their definition.", "error_type"),
		inputs: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "gitlab_runner_job_inputs_interpolations_total", Help: "Jobs whose inputs were put into their definition.",
		}),
	}
	reg.MustRegister(j.inputs)
	return j
}

// Introduce makes the series of a runner that has had no jobs yet, so that the first
// one is seen as an increase.
func (m *Jobs) Introduce(r Runner) {
	m.running.WithLabelValues(r.values("idle", "", "")...).Set(0)
	for _, c := range []*prometheus.CounterVec{m.total, m.remade, m.adopted, m.lost} {
		c.WithLabelValues(r.values()...)
	}
	for _, failure := range []string{"no_free_executor", "job_failure", "other"} {
		m.failures.WithLabelValues(append([]string{failure}, r.values()...)...)
	}
	m.failed.WithLabelValues(r.ShortToken, r.Name, "runner_system_failure", mode)
	m.duration.WithLabelValues(r.values(mode)...)
}

// Received is a job as it has come.
type Received struct {
	At       time.Time // when its time began
	Adopted  bool      // another process has begun and counted it
	Executor string

	// What GitLab said of the queue when it handed the job out.
	QueueTime             time.Duration
	QueueSize, QueueDepth int
	ProjectJobsRunning    string
}

// Start counts a job in. The caller moves the Job through its stages and ends it.
func (m *Jobs) Start(r Runner, got Received) *Job {
	j := &Job{metrics: m, runner: r, started: got.At}
	j.enter("prepare_executor")
	if got.Adopted {
		m.adopted.WithLabelValues(r.values()...).Inc()
		return j
	}
	m.total.WithLabelValues(r.values()...).Inc()
	m.modes.WithLabelValues(mode, got.Executor).Inc()
	m.queueDuration.WithLabelValues(r.values(got.ProjectJobsRunning)...).Observe(got.QueueTime.Seconds())
	m.queueSize.WithLabelValues(r.values()...).Set(float64(got.QueueSize))
	m.queueDepth.WithLabelValues(r.values()...).Set(float64(got.QueueDepth))
	j.Phase(PhaseQueue, got.QueueTime)
	return j
}

// A Job is one running job's place in the metrics. Phase is safe for concurrent use,
// the other methods are not.
type Job struct {
	metrics *Jobs
	runner  Runner
	started time.Time
	gauge   prometheus.Gauge
}

func (j *Job) enter(stage string) {
	j.Leave()
	j.gauge = j.metrics.running.WithLabelValues(j.runner.values("running", stage, "prepare")...)
	j.gauge.Inc()
}

// Stage says that the job is in the named stage now.
func (j *Job) Stage(name string) { j.enter(name) }

// Phase says that a stage, or another part of the job's time, is over.
func (j *Job) Phase(name string, took time.Duration) {
	seconds := max(took, 0).Seconds() // a pod's clock may go back
	if phase := phaseOf(name); phase != "" {
		j.metrics.phase.WithLabelValues(j.runner.values(phase)...).Observe(seconds)
	}
	if isStage(name) {
		j.metrics.stage.WithLabelValues(j.runner.values(name)...).Observe(seconds)
	}
}

// Inputs says that the job has inputs; problem is the kind of what is wrong with
// them, or "".
func (j *Job) Inputs(problem string) {
	if problem != "" {
		j.metrics.inputFailures.WithLabelValues(problem).Inc()
		return
	}
	j.metrics.inputs.Inc()
}

// Remade says that the job's pod is made again.
func (j *Job) Remade() { j.metrics.remade.WithLabelValues(j.runner.values()...).Inc() }

// Lost says that bytes of the job's log cannot be read any more.
func (j *Job) Lost(bytes int64) {
	j.metrics.lost.WithLabelValues(j.runner.values()...).Add(float64(bytes))
}

// Leave ends the job's place here; another process goes on with it.
func (j *Job) Leave() {
	if j.gauge != nil {
		j.gauge.Dec()
		j.gauge = nil
	}
}

// GaveBack counts the job out that GitLab has again, because of what was lacking.
func (j *Job) GaveBack(why string) {
	j.Leave()
	j.metrics.gaveBack.WithLabelValues(j.runner.values(why)...).Inc()
}

// Finish counts the job out. reason is empty when it succeeded.
func (j *Job) Finish(reason string) {
	j.Leave()
	j.metrics.duration.WithLabelValues(j.runner.values(mode)...).Observe(time.Since(j.started).Seconds())
	if reason != "" {
		j.metrics.failed.WithLabelValues(j.runner.ShortToken, j.runner.Name, reason, mode).Inc()
		j.metrics.failures.WithLabelValues(append([]string{"job_failure"}, j.runner.values()...)...).Inc()
	}
}
