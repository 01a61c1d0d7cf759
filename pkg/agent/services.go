package agent

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"sync"
	"time"

	"github.com/runnerd/runnerd/pkg/job"
)

// How a port is tried until it is open.
const (
	dialPause = 100 * time.Millisecond
	dialTime  = 5 * time.Second // of one try
)

// awaitServices waits until the services that name a port accept connections
// there; they share the pod's network. One that does not is the script's
// business, as in GitLab Runner: the job goes on. The error is the context's.
func (h *helper) awaitServices(ctx context.Context) error {
	var waiting sync.WaitGroup
	for _, check := range h.plan.Services {
		for _, port := range check.Ports {
			h.log.Plain(fmt.Sprintf("Waiting for service %s on port %d ...", check.Name, port))
			waiting.Go(func() { h.awaitPort(ctx, check, port) })
		}
	}
	waiting.Wait()
	return context.Cause(ctx)
}

func (h *helper) awaitPort(ctx context.Context, check job.ServiceCheck, port int) {
	limited, cancel := context.WithTimeout(ctx, check.Timeout)
	defer cancel()
	began := time.Now()
	err := dialUntil(limited, net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	switch {
	case err == nil:
		h.log.Plain(fmt.Sprintf("Service %s accepts connections on port %d (%s)", check.Name, port, time.Since(began).Round(100*time.Millisecond)))
	case ctx.Err() == nil:
		h.log.Warn(fmt.Sprintf("service %s does not accept connections on port %d after %s (%v); the job goes on without waiting any longer",
			check.Name, port, check.Timeout, err))
	}
}

// dialUntil connects to address until it is accepted, and returns the last
// refusal when ctx ends.
func dialUntil(ctx context.Context, address string) error {
	dialer := net.Dialer{Timeout: dialTime}
	var refusal error
	for {
		conn, err := dialer.DialContext(ctx, "tcp", address)
		if err == nil {
			return conn.Close()
		}
		if ctx.Err() == nil || refusal == nil {
			refusal = err // what the end of ctx did to a try says nothing of the service
		}
		pause := time.NewTimer(dialPause)
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
			return refusal
		}
	}
}
