package main

import (
	"github.com/runnerd/runnerd/pkg/config"
	"github.com/runnerd/runnerd/pkg/job"
	"github.com/runnerd/runnerd/pkg/lifecycle"
	"github.com/runnerd/runnerd/pkg/metrics"
	"github.com/runnerd/runnerd/pkg/status"
	"github.com/runnerd/runnerd/pkg/tracing"
)

// observe counts a job and lists it among the running ones.
func (d *daemon) observe(id metrics.Runner, r config.Runner, b lifecycle.Beginning) lifecycle.Observer {
	j := b.Job
	o := &observer{
		metrics: d.jobs.Start(id, metrics.Received{
			At: b.Received, Adopted: b.Adopted, Executor: r.Executor,
			QueueTime: j.QueueTime, QueueSize: j.QueueSize, QueueDepth: j.QueueDepth, ProjectJobsRunning: j.ProjectJobsRunning,
		}),
		trace:  d.tracer.Begin(subject(r, id, b)),
		status: d.status,
		shown:  status.Job{ID: j.ID, URL: job.Value(j.Variables, "CI_JOB_URL"), Stage: lifecycle.PhasePrepare, Started: b.Received},
	}
	switch {
	case b.Problem != nil:
		o.metrics.Inputs(b.Problem.Kind)
	case b.Inputs:
		o.metrics.Inputs("")
	}
	d.status.Put(o.shown)
	return o
}

type observer struct {
	metrics *metrics.Job
	trace   *tracing.Job
	status  *status.Status
	shown   status.Job
}

func (o *observer) Stage(name string) {
	o.metrics.Stage(name)
	o.shown.Stage = name
	o.status.Put(o.shown)
}

func (o *observer) Phase(p lifecycle.Phase) {
	o.trace.Phase(p.Name, p.From, p.To)
	if !p.Repeated { // the process before has counted it
		o.metrics.Phase(p.Name, p.To.Sub(p.From))
	}
}

func (o *observer) Remade() { o.metrics.Remade() }

func (o *observer) Lost(bytes int64) { o.metrics.Lost(bytes) }

func (o *observer) Leave() {
	o.metrics.Leave()
	o.status.Delete(o.shown.ID)
}

func (o *observer) GaveBack(why string) {
	o.metrics.GaveBack(why)
	o.trace.Finish("given_back: " + why)
	o.status.Delete(o.shown.ID)
}

func (o *observer) Finish(reason job.Reason) {
	o.metrics.Finish(string(reason))
	o.trace.Finish(string(reason))
	o.status.Delete(o.shown.ID)
}
