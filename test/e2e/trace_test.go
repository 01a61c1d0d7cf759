//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/runnerd/runnerd/internal/otlptest"
	"github.com/runnerd/runnerd/internal/standin"
)

// TestTraces: a job in a pod is a trace with all its parts, also when the daemon is
// killed meanwhile and the next one goes on with the job.
func TestTraces(t *testing.T) {
	collector := otlptest.HTTP(t, ground.node)
	s := start(t, options{global: fmt.Sprintf("[tracing]\nendpoint = %q\n", collector.URL)})
	plain := s.add(standin.JobSpec{Name: "plain", Script: []string{`echo "parent $TRACEPARENT"`}})
	s.finish(plain, standin.Success)
	// Spans are sent in batches, and a process that is killed takes those with it that it has not sent.
	collected(t, collector, "job plain")
	adopted := s.add(standin.JobSpec{Name: "adopted", Script: []string{"echo begun", "for i in $(seq 1 80); do echo tick $i; sleep 0.1; done"}, AfterScript: []string{"true"}})
	s.until(adopted, "the script to run", func(j *standin.Job) bool { return strings.Contains(j.Text(), "\ntick 10\n") })
	s.kill()
	s.gitlab.ExpectRestart()
	s.startDaemon()
	s.finish(adopted, standin.Success)

	collected(t, collector, "job adopted")
	spans := collector.Spans()
	for name, parts := range map[string][]string{
		"plain":   {"queue", "judge", "create", "schedule", "pull", "prepare_executor", "get_sources", "step_script", "report"},
		"adopted": {"get_sources", "step_script", "after_script", "report"},
	} {
		roots := named(spans, "job "+name)
		if len(roots) != 1 {
			t.Fatalf("job %s has %d ends", name, len(roots))
		}
		root := roots[0]
		var own []otlptest.Span
		for _, span := range spans {
			if string(span.GetParentSpanId()) == string(root.GetSpanId()) && string(span.GetTraceId()) == string(root.GetTraceId()) {
				own = append(own, span)
			}
		}
		for _, part := range parts {
			found := named(own, part)
			if len(found) == 0 {
				t.Errorf("job %s has no part %s", name, part)
			}
			for _, again := range found {
				if string(again.GetSpanId()) != string(found[0].GetSpanId()) || again.GetEndTimeUnixNano() != found[0].GetEndTimeUnixNano() {
					t.Errorf("job %s has two parts %s that differ: %v and %v", name, part, found[0], again)
				}
			}
		}
		for _, span := range append(own, root) {
			t.Logf("job %s: %-28s %v", name, span.GetName(), span.Took())
		}
	}
	root := named(spans, "job plain")[0]
	if want := fmt.Sprintf("parent 00-%x-%x-01\n", root.GetTraceId(), root.GetSpanId()); !strings.Contains(plain.Text(), want) {
		t.Errorf("the job's log has no %q", want)
	}
	if script := named(spans, "step_script"); len(script) == 0 || named(spans, "job adopted")[0].Attributes()["runnerd.adopted"] == "" {
		t.Error("nothing says that the job was adopted")
	}
}

// collected waits until the collector has a span of the name.
func collected(t *testing.T, collector *otlptest.Collector, name string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if !collector.Until(ctx, func(spans []otlptest.Span) bool { return len(named(spans, name)) > 0 }) {
		t.Fatalf("the collector gets no span %q", name)
	}
}

// named are the spans of a name.
func named(spans []otlptest.Span, name string) []otlptest.Span {
	var list []otlptest.Span
	for _, s := range spans {
		if s.GetName() == name {
			list = append(list, s)
		}
	}
	return list
}
