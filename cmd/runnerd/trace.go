package main

import (
	"context"
	"net/url"

	"go.uber.org/zap"

	"github.com/runnerd/runnerd/pkg/config"
	"github.com/runnerd/runnerd/pkg/job"
	"github.com/runnerd/runnerd/pkg/lifecycle"
	"github.com/runnerd/runnerd/pkg/metrics"
	"github.com/runnerd/runnerd/pkg/tracing"
)

// trace makes the tracer, if the config or the environment names a collector. The
// returned call sends the last spans and ends it.
func (d *daemon) trace(ctx context.Context) (end func(), err error) {
	t := d.config.Tracing
	c := tracing.Config{
		Endpoint: t.Endpoint, Protocol: t.Protocol, Headers: map[string]string{}, CAFile: t.CAFile,
		Service: product, Version: d.build.Version, Instance: d.systemID,
	}
	for name, value := range t.Headers {
		c.Headers[name] = value.Reveal()
	}
	if d.tracer, err = tracing.Start(context.WithoutCancel(ctx), c, d.spans, d.log); err != nil {
		return nil, err
	}
	if d.tracer != nil {
		d.log.Info("sending traces of jobs", zap.String("endpoint", plain(c.Where())))
	}
	return func() {
		if err := d.tracer.Close(); err != nil {
			d.log.Warn("traces are incomplete", zap.Error(err))
		}
	}, nil
}

// plain is an address without a password.
func plain(address string) string {
	if u, err := url.Parse(address); err == nil {
		return u.Redacted()
	}
	return "one that is no URL"
}

// subject is what the trace of a job says of it.
func subject(r config.Runner, id metrics.Runner, b lifecycle.Beginning) tracing.Subject {
	j := b.Job
	return tracing.Subject{
		GitLab: r.URL, ID: j.ID, Name: j.Name, URL: job.Value(j.Variables, "CI_JOB_URL"),
		Project: j.ProjectPath, Stage: j.Stage, Ref: j.Git.Ref, Commit: j.Git.SHA, Pipeline: j.PipelineID, Runner: id.Name,
		Received: b.Received, Adopted: b.Adopted, Queued: j.QueueTime,
	}
}

// parent returns the variable by which a job's own tools continue its trace.
func (d *daemon) parent(r config.Runner) func(*job.Job) []job.Variable {
	if d.tracer == nil || !d.config.Tracing.TraceParent {
		return nil
	}
	tracer := d.tracer
	return func(j *job.Job) []job.Variable {
		return []job.Variable{{Key: "TRACEPARENT", Value: tracer.Parent(r.URL, j.ID), Public: true}}
	}
}
