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
	c.step(part)
}

// see moves the clock to where the pod is.
func (c *startClock) see(state podState) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.part == executor.Scheduling && state.scheduled() {
		c.step(executor.Pulling)
	}
	if c.part == executor.Pulling && state.started() {
		c.step("")
	}
}

// begun says that a script begins. Of a short job, that is known before the kubelet
// has told that its containers run.
func (c *startClock) begun() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.part == executor.Scheduling {
		c.step(executor.Pulling)
	}
	if c.part == executor.Pulling {
		c.step("")
	}
}

// step is next; the caller holds mu.
func (c *startClock) step(part string) {
	now := time.Now()
	if c.part != "" && c.took != nil {
		c.took(c.part, c.since, now)
	}
	c.part, c.since = part, now
}
