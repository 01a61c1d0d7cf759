package tracing

import (
	"context"
	"crypto/sha256"
	"fmt"
	"strings"
	"time"

	"go.opentelemetry.io/otel/trace"
)

// traceOf is the trace of a job.
func traceOf(gitlab string, jobID int64) (id trace.TraceID) {
	sum := sha256.Sum256(fmt.Appendf(nil, "job %d of %s", jobID, strings.TrimRight(gitlab, "/")))
	copy(id[:], sum[:])
	return id
}

// spanOf is the span of a part of a job's time that begins at from; the job's own has
// no name and no time. A job may have several of one name.
func spanOf(of trace.TraceID, name string, from time.Time) (id trace.SpanID) {
	text := of.String() + " " + name
	if !from.IsZero() {
		text += fmt.Sprintf(" %d", from.UnixNano())
	}
	sum := sha256.Sum256([]byte(text))
	copy(id[:], sum[:])
	return id
}

// given is an IDGenerator that makes up nothing: ids come with the context.
type given struct{}

type idsKey struct{}

type ids struct {
	trace trace.TraceID
	span  trace.SpanID
}

func withIDs(ctx context.Context, of trace.TraceID, span trace.SpanID) context.Context {
	return context.WithValue(ctx, idsKey{}, ids{of, span})
}

// NewIDs implements sdk/trace.IDGenerator.
func (given) NewIDs(ctx context.Context) (trace.TraceID, trace.SpanID) {
	of, _ := ctx.Value(idsKey{}).(ids)
	return of.trace, of.span
}

// NewSpanID implements sdk/trace.IDGenerator.
func (given) NewSpanID(ctx context.Context, _ trace.TraceID) trace.SpanID {
	of, _ := ctx.Value(idsKey{}).(ids)
	return of.span
}
