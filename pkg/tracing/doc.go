// Package tracing draws each job as a trace, and sends it by OTLP to the operator's
// collector: one span for the job, and below it one for each part of its time.
//
// Ids follow from GitLab's address, the job's id, and what a span stands for. So a
// job that another process goes on with is one trace, and a span that both send is
// the same twice. The span of the job is sent by the process that ends it.
//
// Nothing here waits for the collector: spans are sent in the background, and dropped
// when it is away for long.
package tracing
