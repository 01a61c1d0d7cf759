package kubernetes

import (
	"sync"
	"time"

	"github.com/runnerd/runnerd/pkg/executor"
)

// A startClock times the parts of a pod's start. The zero clock times nothing: what
// was there before this process has looked may have taken any time.
type startClock struct {
	took func(part string, from, to time.Time)

	mu    sync.Mutex
	part  string // that goes on; "" none
	since time.Time
}

// next says that the part that goes on is over, and another one begins; "" none.
func (c *startClock) next(part string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.step(part, time.Now())
}

// see moves the clock to where the pod is. That its containers run the cluster tells a
// second or two later, with a time in whole seconds.
func (c *startClock) see(state podState) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.part == executor.Scheduling && state.scheduled() {
		c.step(executor.Pulling, time.Now())
	}
	if c.part == executor.Pulling && state.started() {
		at := time.Now()
		if running := state.status(containerBuild).State.Running; running != nil {
			at = running.StartedAt.Add(time.Second)
		}
		c.step("", at)
	}
}

// begun says that a script began at at, by the pod's clock. Of a short job, that is
// known before the cluster tells that its containers run.
func (c *startClock) begun(at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.part == executor.Scheduling {
		c.step(executor.Pulling, time.Now())
	}
	if c.part == executor.Pulling {
		c.step("", at)
	}
}

// step says that the part that goes on ended at at, as somebody says whose clock may be
// another one. The caller holds mu.
func (c *startClock) step(part string, at time.Time) {
	if now := time.Now(); at.After(now) {
		at = now
	}
	if at.Before(c.since) {
		at = c.since
	}
	if c.part != "" && c.took != nil {
		c.took(c.part, c.since, at)
	}
	c.part, c.since = part, at
}
