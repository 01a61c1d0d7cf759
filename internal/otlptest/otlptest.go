// Package otlptest is a collector of traces for tests: it takes OTLP by HTTP and by
// gRPC, as the protocol's own definitions have it, and keeps what came.
package otlptest

import (
	"compress/gzip"
	"context"
	"errors"
	"io"
	"maps"
	"mime"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"
)

// A Span is one that came, with the resource that it belongs to.
type Span struct {
	*tracepb.Span
	Resource map[string]string
	Headers  http.Header // of the request that brought it
}

// Attributes are the span's own; values that are no strings are as protobuf prints
// them.
func (s Span) Attributes() map[string]string { return texts(s.GetAttributes()) }

// Took is how long the span is.
func (s Span) Took() time.Duration {
	return time.Duration(s.GetEndTimeUnixNano() - s.GetStartTimeUnixNano())
}

// A Collector takes traces until the test ends. It is safe for concurrent use.
type Collector struct {
	collector.UnimplementedTraceServiceServer
	URL string

	mu      sync.Mutex
	spans   []Span
	changed chan struct{}
}

func newCollector(t testing.TB, host string) (*Collector, net.Listener) {
	t.Helper()
	listener, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		t.Fatal(err)
	}
	return &Collector{URL: "http://" + listener.Addr().String(), changed: make(chan struct{})}, listener
}

// HTTP starts a collector that speaks http/protobuf on host.
func HTTP(t testing.TB, host string) *Collector {
	t.Helper()
	c, listener := newCollector(t, host)
	server := &http.Server{Handler: c, ReadHeaderTimeout: time.Minute}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	t.Cleanup(func() {
		server.Close()
		if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("collector: %v", err)
		}
	})
	return c
}

// GRPC starts a collector that speaks gRPC on host.
func GRPC(t testing.TB, host string) *Collector {
	t.Helper()
	c, listener := newCollector(t, host)
	server := grpc.NewServer()
	collector.RegisterTraceServiceServer(server, c)
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	t.Cleanup(func() {
		server.Stop()
		if err := <-ended; err != nil {
			t.Errorf("collector: %v", err)
		}
	})
	return c
}

// ServeHTTP takes one request of http/protobuf. It is as strict as the specification.
func (c *Collector) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	kind, _, err := mime.ParseMediaType(req.Header.Get("Content-Type"))
	switch {
	case req.URL.Path != "/v1/traces":
		http.NotFound(w, req)
		return
	case req.Method != http.MethodPost:
		http.Error(w, "POST", http.StatusMethodNotAllowed)
		return
	case err != nil || kind != "application/x-protobuf":
		http.Error(w, "application/x-protobuf", http.StatusUnsupportedMediaType)
		return
	}
	body := io.Reader(req.Body)
	if req.Header.Get("Content-Encoding") == "gzip" {
		if body, err = gzip.NewReader(body); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
	}
	data, err := io.ReadAll(body)
	var message collector.ExportTraceServiceRequest
	if err == nil {
		err = proto.UnmarshalOptions{}.Unmarshal(data, &message)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	c.take(&message, req.Header)
	answer, err := proto.Marshal(&collector.ExportTraceServiceResponse{})
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/x-protobuf")
	_, _ = w.Write(answer)
}

// Export takes one request of gRPC.
func (c *Collector) Export(ctx context.Context, message *collector.ExportTraceServiceRequest) (*collector.ExportTraceServiceResponse, error) {
	header := http.Header{}
	if sent, ok := metadata.FromIncomingContext(ctx); ok {
		for name, values := range sent {
			header[http.CanonicalHeaderKey(name)] = values
		}
	}
	c.take(message, header)
	return &collector.ExportTraceServiceResponse{}, nil
}

func (c *Collector) take(message *collector.ExportTraceServiceRequest, header http.Header) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, of := range message.GetResourceSpans() {
		about := texts(of.GetResource().GetAttributes())
		for _, scope := range of.GetScopeSpans() {
			for _, span := range scope.GetSpans() {
				c.spans = append(c.spans, Span{span, maps.Clone(about), header.Clone()})
			}
		}
	}
	close(c.changed)
	c.changed = make(chan struct{})
}

// Spans are those that have come, in order.
func (c *Collector) Spans() []Span {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]Span(nil), c.spans...)
}

// Until waits until enough have come, and reports whether they have before ctx ends.
func (c *Collector) Until(ctx context.Context, enough func([]Span) bool) bool {
	for {
		c.mu.Lock()
		changed := c.changed
		c.mu.Unlock()
		if enough(c.Spans()) {
			return true
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return false
		}
	}
}

func texts(list []*common.KeyValue) map[string]string {
	out := map[string]string{}
	for _, pair := range list {
		if text, ok := pair.GetValue().GetValue().(*common.AnyValue_StringValue); ok {
			out[pair.GetKey()] = text.StringValue
			continue
		}
		out[pair.GetKey()] = pair.GetValue().String()
	}
	return out
}
