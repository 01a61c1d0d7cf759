package main

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"testing"

	"go.opentelemetry.io/proto/otlp/trace/v1"

	"github.com/runnerd/runnerd/internal/otlptest"
	"github.com/runnerd/runnerd/internal/standin"
)

// TestTraces: each job is a trace, whose parts lie in it, and the job knows it.
func TestTraces(t *testing.T) {
	t.Parallel()
	s := newSite(t, standin.Options{Concurrent: 1}, standin.RunnerSpec{})
	collector := otlptest.HTTP(t, "127.0.0.1")
	d := s.start(s.configText(fmt.Sprintf("[tracing]\nendpoint = %q\n", collector.URL)))
	good := s.gitlab.AddJob(standin.JobSpec{Name: "good", Script: []string{`echo "parent $TRACEPARENT"`}, AfterScript: []string{"true"}})
	s.ends(good, standin.Success, "")
	bad := s.gitlab.AddJob(standin.JobSpec{Name: "bad", Script: []string{"exit 3"}})
	s.ends(bad, standin.Failed, "script_failure")
	d.drain()
	if err := d.wait(); err != nil {
		t.Fatal(err)
	}

	roots, parts := map[string]otlptest.Span{}, map[string][]otlptest.Span{}
	for _, span := range collector.Spans() {
		if id := hex.EncodeToString(span.GetTraceId()); len(span.GetParentSpanId()) == 0 {
			roots[span.GetName()] = span
		} else {
			parts[id] = append(parts[id], span)
		}
	}
	if len(roots) != 2 || len(parts) != 2 {
		t.Fatalf("%d jobs with parts of %d, want 2 of each", len(roots), len(parts))
	}
	root := roots["job good"]
	s.says(good, fmt.Sprintf("parent 00-%x-%x-01\n", root.GetTraceId(), root.GetSpanId()))
	var names []string
	for _, part := range parts[hex.EncodeToString(root.GetTraceId())] {
		names = append(names, part.GetName())
		if part.GetName() != "queue" && (part.GetStartTimeUnixNano() < root.GetStartTimeUnixNano() || part.GetEndTimeUnixNano() > root.GetEndTimeUnixNano()) {
			t.Errorf("part %s lies outside of its job", part.GetName())
		}
	}
	for _, name := range []string{"judge", "prepare_executor", "prepare_script", "get_sources", "step_script", "after_script", "report"} {
		if !slices.Contains(names, name) {
			t.Errorf("no part %s in %q", name, names)
		}
	}
	if got := root.Attributes()["cicd.pipeline.task.run.url.full"]; !strings.Contains(got, fmt.Sprint(good.ID())) {
		t.Errorf("the job's page is %q", got)
	}
	if status := roots["job bad"].GetStatus(); status.GetCode() != v1.Status_STATUS_CODE_ERROR || status.GetMessage() != "script_failure" {
		t.Errorf("status of the failed job: %v", status)
	}
	if text := d.scrape(); !strings.Contains(text, `runnerd_trace_spans_total{result="sent"} `+fmt.Sprint(len(collector.Spans()))+"\n") {
		t.Errorf("%d spans have come, but the metrics count otherwise", len(collector.Spans()))
	}
}

// TestNoTraceparent: whoever does not want it in jobs says so.
func TestNoTraceparent(t *testing.T) {
	t.Parallel()
	s := newSite(t, standin.Options{Concurrent: 1}, standin.RunnerSpec{})
	collector := otlptest.HTTP(t, "127.0.0.1")
	s.start(s.configText(fmt.Sprintf("[tracing]\nendpoint = %q\ntraceparent = false\n", collector.URL)))
	j := s.gitlab.AddJob(standin.JobSpec{Script: []string{`echo "parent ${TRACEPARENT-none}"`}})
	s.ends(j, standin.Success, "")
	s.says(j, "parent none\n")
}
