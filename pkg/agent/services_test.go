package agent

import (
	"context"
	"errors"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/runnerd/runnerd/pkg/job"
	"github.com/runnerd/runnerd/pkg/joblog"
)

// closedPort returns a port that nobody listens on.
func closedPort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

func awaiting(out *strings.Builder, port int, timeout time.Duration) *helper {
	h := &helper{log: joblog.New(out, joblog.Options{})}
	h.plan.Services = []job.ServiceCheck{{Name: "db", Ports: []int{port}, Timeout: timeout}}
	return h
}

func TestAwaitServices(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var out strings.Builder
	h := awaiting(&out, l.Addr().(*net.TCPAddr).Port, time.Minute)
	if err := h.awaitServices(t.Context()); err != nil || !strings.Contains(out.String(), "Service db accepts connections on port") {
		t.Errorf("awaitServices = %v; log %q", err, &out)
	}
}

func TestAwaitServicesInVain(t *testing.T) {
	var out strings.Builder
	port := closedPort(t)
	h := awaiting(&out, port, 250*time.Millisecond)
	if err := h.awaitServices(t.Context()); err != nil {
		t.Errorf("awaitServices = %v, want the job to go on", err)
	}
	want := "WARNING: service db does not accept connections on port " + strconv.Itoa(port) + " after 250ms"
	if !strings.Contains(out.String(), want) || !strings.Contains(out.String(), "connection refused") {
		t.Errorf("log %q, want %q and the cause in it", &out, want)
	}
}

func TestAwaitServicesCanceled(t *testing.T) {
	var out strings.Builder
	h := awaiting(&out, closedPort(t), time.Hour)
	ctx, cancel := context.WithCancelCause(t.Context())
	time.AfterFunc(50*time.Millisecond, func() { cancel(errCanceled) })
	if err := h.awaitServices(ctx); !errors.Is(err, errCanceled) || strings.Contains(out.String(), "WARNING") {
		t.Errorf("awaitServices = %v, log %q; want the cancel alone", err, &out)
	}
}
