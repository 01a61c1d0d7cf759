package poller

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"
)

const (
	// roomLook is how often a place that is full is looked at again.
	roomLook = time.Second
	// roomNote is how long it may be full before the log says so. A place that is
	// well used is full for moments all the time.
	roomNote = 3 * time.Second
)

// A Room says why the place where jobs run has no room for one more, and nil when
// it has. taken are the jobs that it got from here and that are not over; requests
// is how many more may come any moment. It may take a while, and is not called
// concurrently. An error with a method Reason() string is counted under that.
type Room func(ctx context.Context, taken []int64, requests int) error

// A room is what a poller knows of its Room.
type room struct {
	ask   Room // nil: there is always room
	meter meter
	log   *zap.Logger
	turn  sync.Mutex // one asks at a time, and counts itself in before the next does

	mu       sync.Mutex
	jobs     map[int64]struct{} // that have come and are not over
	requests int                // that may still be answered with a job
	reason   string             // why there is no room; "" when there is
	since    time.Time          // when that began
	noted    string             // the reason that the log gives
}

// look reports whether there is room. With take, a request is counted in, until
// leave is called for it.
func (r *room) look(ctx context.Context, take bool) bool {
	if r.ask == nil {
		return true
	}
	r.turn.Lock()
	defer r.turn.Unlock()
	r.mu.Lock()
	taken, requests := slices.Sorted(maps.Keys(r.jobs)), r.requests
	r.mu.Unlock()
	err := r.ask(ctx, taken, requests)
	if ctx.Err() != nil {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.note(err)
	if err == nil && take {
		r.requests++
	}
	return err == nil
}

// note keeps log and metrics up to date. The caller holds mu.
func (r *room) note(full error) {
	now := time.Now()
	reason := reasonOf(full)
	if reason != r.reason {
		r.meter.paused(r.reason, reason)
		if r.reason == "" {
			r.since = now
		}
		r.reason = reason
	}
	switch {
	case full == nil && r.noted != "":
		r.log.Info("there is room again: asking for jobs", zap.String("reason", r.noted), zap.Duration("paused", now.Sub(r.since)))
		r.noted = ""
	case full != nil && r.noted != reason && now.Sub(r.since) >= roomNote:
		r.log.Info("no room for another job: asking for none", zap.String("reason", reason), zap.String("why", full.Error()))
		r.noted = reason
	}
}

func reasonOf(full error) string {
	if full == nil {
		return ""
	}
	if r, ok := errors.AsType[interface {
		error
		Reason() string
	}](full); ok {
		return r.Reason()
	}
	return "other"
}

// leave says that a request that was counted in will bring no other job than the
// one that has come.
func (r *room) leave() {
	if r.ask == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.requests--
}

// come counts a job in; the returned call counts it out.
func (r *room) come(id int64) (over func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.jobs[id] = struct{}{}
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.jobs, id)
	}
}

// close ends a pause, because nothing is asked for any more.
func (r *room) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.meter.paused(r.reason, "")
	r.reason, r.noted = "", ""
}

// enter waits until there is room and a slot, and takes both for a request.
func (p *Poller) enter(ctx context.Context, slots *lease) error {
	for {
		if p.room.look(ctx, false) {
			if err := slots.acquire(ctx); err != nil {
				return err
			}
			if p.room.look(ctx, true) { // there may have been a long wait for the slot
				return nil
			}
			slots.release()
		}
		pause := time.NewTimer(roomLook)
		select {
		case <-ctx.Done():
			pause.Stop()
			return context.Cause(ctx)
		case <-pause.C:
		}
	}
}
