package poller

import (
	"context"
	"sync"
)

// Slots are room for a number of running jobs. Who waits for one gets it in the
// order of asking.
type Slots struct {
	mu      sync.Mutex
	limit   int
	used    int
	jobs    []chan struct{} // jobs on hand that wait; before all others
	waiting []chan struct{}
}

// NewSlots returns limit slots; a limit of 0 means no limit, one below 0 that there
// are none.
func NewSlots(limit int) *Slots { return &Slots{limit: limit} }

// SetLimit changes the number. Running jobs stay when it gets smaller.
func (s *Slots) SetLimit(limit int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.limit = limit
	s.grant()
}

// Limit returns the number of slots; 0 means no limit, below 0 that there are none.
func (s *Slots) Limit() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.limit
}

// Used returns how many slots are taken, by jobs and by requests that may be
// answered with one.
func (s *Slots) Used() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.used
}

func (s *Slots) free() bool { return s.limit == 0 || s.used < s.limit }

// acquire takes a slot for a request.
func (s *Slots) acquire(ctx context.Context) error { return s.wait(ctx, &s.waiting) }

// acquireJob takes a slot for a job that is already on hand.
func (s *Slots) acquireJob(ctx context.Context) error { return s.wait(ctx, &s.jobs) }

func (s *Slots) wait(ctx context.Context, queue *[]chan struct{}) error {
	s.mu.Lock()
	mine := make(chan struct{})
	*queue = append(*queue, mine)
	s.grant()
	s.mu.Unlock()
	select {
	case <-mine:
		return nil
	default:
	}
	select {
	case <-mine:
		return nil
	case <-ctx.Done():
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, ch := range *queue {
		if ch == mine {
			*queue = append((*queue)[:i:i], (*queue)[i+1:]...)
			return context.Cause(ctx)
		}
	}
	// It was granted in the last moment, and nobody will use it.
	s.used--
	s.grant()
	return context.Cause(ctx)
}

// seize takes a slot even when none is free, for a job that runs already.
func (s *Slots) seize() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.used++
}

func (s *Slots) release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.used--
	s.grant()
}

// grant gives free slots to those who wait. The caller holds mu.
func (s *Slots) grant() {
	for s.free() && len(s.jobs)+len(s.waiting) > 0 {
		queue := &s.jobs
		if len(s.jobs) == 0 {
			queue = &s.waiting
		}
		s.used++
		close((*queue)[0])
		*queue = (*queue)[1:]
	}
}
