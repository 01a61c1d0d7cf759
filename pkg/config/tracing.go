package config

import "github.com/runnerd/runnerd/pkg/job"

// Tracing says where the traces of jobs go, by OTLP. What it leaves open the
// environment says, with OpenTelemetry's names (OTEL_EXPORTER_OTLP_ENDPOINT, …).
// GitLab Runner has no such table.
type Tracing struct {
	Endpoint    string                `toml:"endpoint"`    // URL of the collector; "" means the environment's, without which there are no traces
	Protocol    string                `toml:"protocol"`    // http/protobuf or grpc; "" means the environment's, else http/protobuf
	Headers     map[string]job.Secret `toml:"headers"`     // of each request; ${NAME} as in Runner.URL
	CAFile      string                `toml:"ca_file"`     // PEM, trusted besides the system's
	TraceParent bool                  `toml:"traceparent"` // jobs get the variable TRACEPARENT, for spans of their own; true
}

func (t *Tracing) setDefaults() { t.TraceParent = true }

func (t *Tracing) validate(r *report) {
	if t.Endpoint != "" {
		validateURL(r, "tracing.endpoint", t.Endpoint)
	}
	if t.Protocol != "" {
		oneOf(r, "tracing.protocol", t.Protocol, "http/protobuf", "grpc")
	}
}

func (t *Tracing) expand(r *report, lookup func(string) (string, bool)) {
	for name, value := range t.Headers {
		t.Headers[name] = job.Secret(expandText(r, "tracing.headers."+name, value.Reveal(), lookup))
	}
}
