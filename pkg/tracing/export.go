package tracing

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.uber.org/zap"
	"google.golang.org/grpc/credentials"

	"github.com/runnerd/runnerd/pkg/cacert"
)

// Metrics count the spans. A nil *Metrics counts nothing.
type Metrics struct{ spans *prometheus.CounterVec }

// NewMetrics registers the metrics with reg. Make them once a process.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	m := &Metrics{prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "runnerd_trace_spans_total", Help: "Spans for the collector of traces, by what came of them: sent or failed.",
	}, []string{"result"})}
	reg.MustRegister(m.spans)
	return m
}

func (m *Metrics) count(result string, spans int) {
	if m != nil {
		m.spans.WithLabelValues(result).Add(float64(spans))
	}
}

// tracesPath is where a collector takes traces by HTTP, below its URL.
const tracesPath = "/v1/traces"

// dial makes the exporter that c asks for. It sends nothing.
func dial(ctx context.Context, c Config) (sdk.SpanExporter, error) {
	authorities, err := cacert.FilePool(c.CAFile)
	if err != nil {
		return nil, fmt.Errorf("tracing: ca_file: %w", err)
	}
	var trusted *tls.Config
	if authorities != nil {
		trusted = &tls.Config{RootCAs: authorities, MinVersion: tls.VersionTLS12}
	}
	switch protocol := c.protocol(); protocol {
	case HTTP:
		var o []otlptracehttp.Option
		if c.Endpoint != "" {
			base := strings.TrimSuffix(strings.TrimRight(c.Endpoint, "/"), tracesPath)
			o = append(o, otlptracehttp.WithEndpointURL(base+tracesPath))
		}
		if len(c.Headers) > 0 {
			o = append(o, otlptracehttp.WithHeaders(c.Headers))
		}
		if trusted != nil {
			o = append(o, otlptracehttp.WithTLSClientConfig(trusted))
		}
		return otlptrace.New(ctx, otlptracehttp.NewClient(o...))
	case GRPC:
		var o []otlptracegrpc.Option
		if c.Endpoint != "" {
			o = append(o, otlptracegrpc.WithEndpointURL(c.Endpoint))
		}
		if len(c.Headers) > 0 {
			o = append(o, otlptracegrpc.WithHeaders(c.Headers))
		}
		if trusted != nil {
			o = append(o, otlptracegrpc.WithTLSCredentials(credentials.NewTLS(trusted)))
		}
		return otlptrace.New(ctx, otlptracegrpc.NewClient(o...))
	default:
		return nil, fmt.Errorf("tracing: protocol %q; it must be %s or %s", protocol, HTTP, GRPC)
	}
}

// A watched exporter counts what it sends, and says once when that fails, and once
// when it works again.
type watched struct {
	sdk.SpanExporter
	metrics *Metrics
	log     *zap.Logger
	failing bool // the SDK calls ExportSpans from one goroutine at a time
}

// ExportSpans implements sdk/trace.SpanExporter. It always returns nil: nobody could
// do more about an error than has been done.
func (w *watched) ExportSpans(ctx context.Context, spans []sdk.ReadOnlySpan) error {
	err := w.SpanExporter.ExportSpans(ctx, spans)
	switch {
	case err != nil:
		w.metrics.count("failed", len(spans))
		if !w.failing && !errors.Is(err, context.Canceled) {
			w.log.Warn("traces are not sent; spans that the collector does not take are dropped", zap.Error(err))
		}
	case w.failing:
		w.log.Info("traces are sent again")
		fallthrough
	default:
		w.metrics.count("sent", len(spans))
	}
	w.failing = err != nil
	return nil
}
