package tracing

import (
	"cmp"
	"os"
	"strings"
)

// The protocols.
const (
	HTTP = "http/protobuf"
	GRPC = "grpc"
)

// A Config says where traces go. What it leaves open the environment says, with the
// names of OpenTelemetry's specification (OTEL_EXPORTER_OTLP_…, OTEL_BSP_…,
// OTEL_TRACES_SAMPLER, OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES).
type Config struct {
	Endpoint string // URL of the collector; "" means OTEL_EXPORTER_OTLP_TRACES_ENDPOINT or OTEL_EXPORTER_OTLP_ENDPOINT
	Protocol string // HTTP or GRPC; "" means OTEL_EXPORTER_OTLP_TRACES_PROTOCOL or OTEL_EXPORTER_OTLP_PROTOCOL, else HTTP
	Headers  map[string]string
	CAFile   string // PEM, trusted besides the system's; "" means OTEL_EXPORTER_OTLP_CERTIFICATE, else the system's alone

	Service, Version, Instance string // of the resource that the spans belong to
}

// Enabled reports whether there is a collector, and nobody has forbidden to use it
// (OTEL_SDK_DISABLED, OTEL_TRACES_EXPORTER=none).
func (c Config) Enabled() bool {
	if strings.EqualFold(os.Getenv("OTEL_SDK_DISABLED"), "true") || os.Getenv("OTEL_TRACES_EXPORTER") == "none" {
		return false
	}
	return c.Where() != ""
}

// Where is the address of the collector; "" means that there is none.
func (c Config) Where() string {
	return cmp.Or(c.Endpoint, os.Getenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"), os.Getenv("OTEL_EXPORTER_OTLP_ENDPOINT"))
}

func (c Config) protocol() string {
	return cmp.Or(c.Protocol, os.Getenv("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"), os.Getenv("OTEL_EXPORTER_OTLP_PROTOCOL"), HTTP)
}
