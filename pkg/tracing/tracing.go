package tracing

import (
	"context"
	"fmt"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"go.uber.org/zap"
)

// A Tracer draws jobs. A nil *Tracer draws nothing. It is safe for concurrent use.
type Tracer struct {
	provider *sdk.TracerProvider
	tracer   trace.Tracer
}

// Start makes a Tracer, which sends in the background until Close; nil when c is not
// enabled. It does not wait for the collector.
func Start(ctx context.Context, c Config, metrics *Metrics, log *zap.Logger) (*Tracer, error) {
	if !c.Enabled() {
		return nil, nil
	}
	exporter, err := dial(ctx, c)
	if err != nil {
		return nil, err
	}
	about, err := resource.New(ctx, resource.WithAttributes(
		attribute.String("service.name", c.Service), attribute.String("service.version", c.Version),
		attribute.String("service.instance.id", c.Instance),
	), resource.WithTelemetrySDK(), resource.WithFromEnv())
	if err != nil {
		return nil, fmt.Errorf("tracing: OTEL_RESOURCE_ATTRIBUTES: %w", err)
	}
	provider := sdk.NewTracerProvider(
		sdk.WithBatcher(&watched{SpanExporter: exporter, metrics: metrics, log: log}),
		sdk.WithResource(about), sdk.WithIDGenerator(given{}),
	)
	return &Tracer{provider, provider.Tracer("github.com/runnerd/runnerd/pkg/tracing")}, nil
}

// closeTimeout is how long the last spans may take.
const closeTimeout = 3 * time.Second

// Close sends what is left, for as long as that is worth, and ends the sending.
func (t *Tracer) Close() error {
	if t == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	if err := t.provider.Shutdown(ctx); err != nil {
		return fmt.Errorf("tracing: the last spans are lost: %w", err)
	}
	return nil
}

// A Subject is the job that a trace is of.
type Subject struct {
	GitLab string // its URL
	ID     int64
	Name   string
	URL    string // of its page

	Project, Stage, Ref, Commit, Runner string
	Pipeline                            int64

	Received time.Time // when its time began
	Adopted  bool      // another process has begun it
	Queued   time.Duration
}

// Parent returns what a job's own spans hang on to, as the variable TRACEPARENT has it
// (W3C Trace Context): the span of the job. "" when it is not drawn.
func (t *Tracer) Parent(gitlab string, jobID int64) string {
	if t == nil {
		return ""
	}
	of := t.root(Subject{GitLab: gitlab, ID: jobID}).SpanContext() // never ended, so never sent
	return fmt.Sprintf("00-%s-%s-%s", of.TraceID(), of.SpanID(), of.TraceFlags())
}

func (t *Tracer) root(s Subject, o ...trace.SpanStartOption) trace.Span {
	of := traceOf(s.GitLab, s.ID)
	ctx := withIDs(context.Background(), of, spanOf(of, "", time.Time{}))
	_, span := t.tracer.Start(ctx, "job "+s.Name, append(o, trace.WithNewRoot())...)
	return span
}

// A Job is one job's trace. A nil *Job draws nothing. It is safe for concurrent use.
type Job struct {
	tracer trace.Tracer
	root   trace.Span
}

// Begin begins the trace of a job, or goes on with it.
func (t *Tracer) Begin(s Subject) *Job {
	if t == nil {
		return nil
	}
	j := &Job{tracer: t.tracer, root: t.root(s, trace.WithTimestamp(s.Received), trace.WithAttributes(
		attribute.String("cicd.pipeline.run.id", fmt.Sprint(s.Pipeline)),
		attribute.String("cicd.pipeline.task.name", s.Name),
		attribute.String("cicd.pipeline.task.run.id", fmt.Sprint(s.ID)),
		attribute.String("cicd.pipeline.task.run.url.full", s.URL),
		attribute.String("cicd.worker.name", s.Runner),
		attribute.String("vcs.ref.head.name", s.Ref),
		attribute.String("vcs.ref.head.revision", s.Commit),
		attribute.String("gitlab.project.path", s.Project),
		attribute.String("gitlab.job.stage", s.Stage),
		attribute.Bool("runnerd.adopted", s.Adopted),
	))}
	if s.Queued > 0 && !s.Adopted {
		j.Phase("queue", s.Received.Add(-s.Queued), s.Received)
	}
	return j
}

// Phase draws a part of the job's time that is over. To draw the same again does no
// harm.
func (j *Job) Phase(name string, from, to time.Time) {
	if j == nil {
		return
	}
	if to.Before(from) { // a pod's clock may go back
		to = from
	}
	of := j.root.SpanContext().TraceID()
	ctx := trace.ContextWithSpan(withIDs(context.Background(), of, spanOf(of, name, from)), j.root)
	_, span := j.tracer.Start(ctx, name, trace.WithTimestamp(from))
	span.End(trace.WithTimestamp(to))
}

// Finish ends the trace. reason is why the job has failed; "" says that it has not.
// The trace of a job that another process goes on with is not finished here.
func (j *Job) Finish(reason string) {
	if j == nil {
		return
	}
	result := "success"
	if reason != "" {
		result = "failure"
		j.root.SetStatus(codes.Error, reason)
		j.root.SetAttributes(attribute.String("error.type", reason))
	}
	j.root.SetAttributes(attribute.String("cicd.pipeline.task.run.result", result))
	j.root.End()
}
