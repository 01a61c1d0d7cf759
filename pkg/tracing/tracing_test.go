package tracing_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/proto/otlp/trace/v1"
	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/runnerd/runnerd/internal/otlptest"
	"github.com/runnerd/runnerd/pkg/tracing"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("net/http.(*persistConn).readLoop"), goleak.IgnoreAnyFunction("net/http.(*persistConn).writeLoop"))
}

const patience = 2 * time.Minute

var received = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)

func subject() tracing.Subject {
	return tracing.Subject{
		GitLab: "https://gitlab.example.com", ID: 42, Name: "build", URL: "https://gitlab.example.com/-/jobs/42",
		Project: "group/project", Stage: "test", Ref: "main", Commit: "0123", Pipeline: 7, Runner: "one",
		Received: received, Queued: 3 * time.Second,
	}
}

func start(t *testing.T, c tracing.Config) *tracing.Tracer {
	t.Helper()
	c.Service, c.Version, c.Instance = "runnerd", "1.2.3", "s_1"
	tracer, err := tracing.Start(t.Context(), c, nil, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	return tracer
}

// byName are the spans that a collector has, each once.
func byName(t *testing.T, c *otlptest.Collector) map[string]otlptest.Span {
	t.Helper()
	found := map[string]otlptest.Span{}
	for _, s := range c.Spans() {
		if _, twice := found[s.GetName()]; twice {
			t.Errorf("span %q came twice", s.GetName())
		}
		found[s.GetName()] = s
	}
	return found
}

// TestJob: a job is one trace with its parts, by either protocol.
func TestJob(t *testing.T) {
	for protocol, serve := range map[string]func(testing.TB, string) *otlptest.Collector{tracing.HTTP: otlptest.HTTP, tracing.GRPC: otlptest.GRPC} {
		t.Run(protocol, func(t *testing.T) {
			collector := serve(t, "127.0.0.1")
			tracer := start(t, tracing.Config{Endpoint: collector.URL, Protocol: protocol, Headers: map[string]string{"x-tenant": "ci"}})
			parent := tracer.Parent("https://gitlab.example.com", 42)
			j := tracer.Begin(subject())
			j.Phase("get_sources", received.Add(time.Second), received.Add(3*time.Second))
			j.Phase("step_script", received.Add(3*time.Second), received.Add(2*time.Second))
			j.Finish("script_failure")
			if err := tracer.Close(); err != nil {
				t.Fatal(err)
			}
			spans := byName(t, collector)
			root := spans["job build"]
			if root.Span == nil || len(spans) != 4 {
				t.Fatalf("spans %v", spans)
			}
			if want := "00-" + hex.EncodeToString(root.GetTraceId()) + "-" + hex.EncodeToString(root.GetSpanId()) + "-01"; parent != want {
				t.Errorf("TRACEPARENT is %s, want %s", parent, want)
			}
			for name, took := range map[string]time.Duration{"queue": 3 * time.Second, "get_sources": 2 * time.Second, "step_script": 0} {
				s := spans[name]
				if !bytes.Equal(s.GetTraceId(), root.GetTraceId()) || !bytes.Equal(s.GetParentSpanId(), root.GetSpanId()) || s.Took() != took {
					t.Errorf("span %s: %v", name, s)
				}
			}
			if len(root.GetParentSpanId()) != 0 || root.GetStartTimeUnixNano() != uint64(received.UnixNano()) ||
				root.GetStatus().GetCode() != v1.Status_STATUS_CODE_ERROR || root.GetStatus().GetMessage() != "script_failure" {
				t.Errorf("root %v", root)
			}
			for key, want := range map[string]string{
				"cicd.pipeline.task.name": "build", "cicd.pipeline.task.run.id": "42", "cicd.pipeline.task.run.result": "failure",
				"error.type": "script_failure", "gitlab.project.path": "group/project", "vcs.ref.head.name": "main",
			} {
				if got := root.Attributes()[key]; got != want {
					t.Errorf("attribute %s is %q, want %q", key, got, want)
				}
			}
			if r := root.Resource; r["service.name"] != "runnerd" || r["service.version"] != "1.2.3" || r["service.instance.id"] != "s_1" {
				t.Errorf("resource %v", r)
			}
			if got := root.Headers.Get("X-Tenant"); got != "ci" {
				t.Errorf("header x-tenant is %q", got)
			}
		})
	}
}

// TestAdoption: what two processes send of one job is one trace. The one that leaves
// the job sends no end of it, and what both send is the same.
func TestAdoption(t *testing.T) {
	collector := otlptest.HTTP(t, "127.0.0.1")
	first := start(t, tracing.Config{Endpoint: collector.URL})
	one := first.Begin(subject())
	one.Phase("get_sources", received.Add(time.Second), received.Add(3*time.Second))
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	second := start(t, tracing.Config{Endpoint: collector.URL + "/v1/traces"})
	s := subject()
	s.Adopted = true
	other := second.Begin(s)
	other.Phase("get_sources", received.Add(time.Second), received.Add(3*time.Second))
	other.Phase("step_script", received.Add(3*time.Second), received.Add(9*time.Second))
	other.Finish("")
	if err := second.Close(); err != nil {
		t.Fatal(err)
	}
	ids := map[string][]string{}
	for _, span := range collector.Spans() {
		ids[span.GetName()] = append(ids[span.GetName()], hex.EncodeToString(span.GetTraceId())+" "+hex.EncodeToString(span.GetSpanId()))
		if hex.EncodeToString(span.GetTraceId()) != hex.EncodeToString(collector.Spans()[0].GetTraceId()) {
			t.Errorf("span %s is of another trace", span.GetName())
		}
	}
	if len(ids["get_sources"]) != 2 || ids["get_sources"][0] != ids["get_sources"][1] {
		t.Errorf("get_sources: %q", ids["get_sources"])
	}
	if len(ids["job build"]) != 1 || len(ids["step_script"]) != 1 || len(ids["queue"]) != 1 {
		t.Errorf("spans %v", ids)
	}
}

// TestEnvironment: what the config leaves open the environment says.
func TestEnvironment(t *testing.T) {
	collector := otlptest.HTTP(t, "127.0.0.1")
	for _, name := range []string{"OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_SDK_DISABLED", "OTEL_TRACES_EXPORTER"} {
		t.Setenv(name, "")
	}
	if tracer := start(t, tracing.Config{}); tracer != nil {
		t.Error("traces without a collector")
	}
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.URL)
	t.Setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-tenant=env")
	t.Setenv("OTEL_SERVICE_NAME", "ci")
	t.Setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=prod")
	tracer := start(t, tracing.Config{})
	tracer.Begin(subject()).Finish("")
	if err := tracer.Close(); err != nil {
		t.Fatal(err)
	}
	root := byName(t, collector)["job build"]
	if root.Span == nil || root.Headers.Get("X-Tenant") != "env" || root.Resource["service.name"] != "ci" || root.Resource["deployment.environment.name"] != "prod" {
		t.Errorf("root %v, headers %v", root, root.Headers)
	}
	for name, value := range map[string]string{"OTEL_SDK_DISABLED": "true", "OTEL_TRACES_EXPORTER": "none"} {
		t.Setenv(name, value)
		if tracer := start(t, tracing.Config{Endpoint: collector.URL}); tracer != nil {
			t.Errorf("traces with %s=%s", name, value)
		}
		t.Setenv(name, "")
	}
	t.Setenv("OTEL_TRACES_SAMPLER", "always_off")
	tracer = start(t, tracing.Config{})
	before := len(collector.Spans())
	if parent := tracer.Parent("https://gitlab.example.com", 42); !strings.HasSuffix(parent, "-00") {
		t.Errorf("TRACEPARENT of a trace that is not sampled: %s", parent)
	}
	j := tracer.Begin(subject())
	j.Phase("get_sources", received, received)
	j.Finish("")
	if err := tracer.Close(); err != nil || len(collector.Spans()) != before {
		t.Errorf("not sampled, and sent: %v, %d spans", err, len(collector.Spans())-before)
	}
}

// TestCollectorAway: nothing waits for a collector that does not answer: jobs go on
// and the end is bounded; the log says it once.
func TestCollectorAway(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0") // connections are made, and nobody reads
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	for name, address := range map[string]string{"silent": silent.Addr().String(), "refused": closed.Addr().String()} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("OTEL_BSP_SCHEDULE_DELAY", "10")
			core, logs := observer.New(zap.InfoLevel)
			registry := prometheus.NewRegistry()
			tracer, err := tracing.Start(t.Context(), tracing.Config{Endpoint: "http://" + address}, tracing.NewMetrics(registry), zap.New(core))
			if err != nil {
				t.Fatal(err)
			}
			done := make(chan struct{})
			go func() {
				defer close(done)
				for i := range 3_000 { // more than the queue holds
					j := tracer.Begin(subject())
					j.Phase("step_script", received.Add(time.Duration(i)), received.Add(time.Second))
					j.Finish("")
				}
				_ = tracer.Close()
			}()
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			select {
			case <-done:
			case <-ctx.Done():
				t.Fatal("jobs wait for the collector")
			}
			if n := logs.FilterMessageSnippet("traces are not sent").Len(); n > 1 {
				t.Errorf("the log says it %d times", n)
			}
		})
	}
}

func TestNothing(t *testing.T) {
	var tracer *tracing.Tracer
	j := tracer.Begin(subject())
	j.Phase("x", received, received)
	j.Finish("")
	if err := tracer.Close(); err != nil || tracer.Parent("x", 1) != "" {
		t.Error("a tracer that is off does something")
	}
	for _, c := range []tracing.Config{{Endpoint: "http://127.0.0.1:1", Protocol: "http/json"}, {Endpoint: "http://127.0.0.1:1", CAFile: "/nowhere"}} {
		if _, err := tracing.Start(t.Context(), c, nil, zap.NewNop()); err == nil || !strings.Contains(err.Error(), "tracing: ") {
			t.Errorf("Start(%+v) = %v", c, err)
		}
	}
}
