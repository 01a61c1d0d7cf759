package poller

import (
	"context"
	"errors"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/runnerd/runnerd/pkg/job"
)

const (
	// patience is how long an answer may take until the request counts as held.
	patience = 750 * time.Millisecond
	// morePatience is the same for the request that follows a hold which ended
	// early: there may be a job, so GitLab looks for one instead of holding.
	morePatience = 2 * time.Second
	// fullHold is how long GitLab holds a request when nothing happens, or a bit
	// less: 50 s unless its administrator chose otherwise.
	fullHold = 45 * time.Second
	// drainGrace is how long a request that is not held may still take after
	// polling has been stopped.
	drainGrace = 2 * time.Second
)

// errNotAsked is the outcome of a request that was never sent.
var errNotAsked = errors.New("polling has been stopped")

// ask sends one request when there is room and a slot, and starts the job that
// comes.
func (p *Poller) ask(ctx, jobs context.Context, handlers *sync.WaitGroup) outcome {
	slots := &lease{entry: p.entry, daemon: p.o.Slots}
	if p.enter(ctx, slots) != nil {
		return outcome{err: errNotAsked}
	}
	leave := sync.OnceFunc(p.room.leave)
	defer leave()
	o := p.request(ctx, slots, leave)
	slots.settle()
	p.learn(o)
	var damaged *job.DamagedError
	switch {
	case errors.As(o.err, &damaged):
		p.log.Error("GitLab handed out a job that cannot be read; reporting it failed", zap.Error(damaged))
		slots.release()
		handlers.Go(func() { p.o.Handler.Damaged(jobs, damaged) })
	case o.offer.Job != nil:
		over := p.room.come(o.offer.Job.ID)
		handlers.Go(func() {
			defer over()
			p.handle(jobs, o.offer.Job, slots)
		})
	default:
		slots.release()
	}
	return o
}

// learn keeps what the next request needs to know of this one.
func (p *Poller) learn(o outcome) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if o.offer.LastUpdate != "" {
		p.lastUpdate = o.offer.LastUpdate
	}
	p.patience = patience
	if o.held && o.took < fullHold {
		p.patience = morePatience
	}
}

// request sends the request. Held by GitLab, it gives its slots back, and its room
// by leave; held when polling is stopped, it is cut off; not held, it gets a moment
// longer, because a job that nobody reads stays running at GitLab.
func (p *Poller) request(ctx context.Context, slots *lease, leave func()) outcome {
	p.mu.Lock()
	lastUpdate, patience := p.lastUpdate, p.patience
	p.mu.Unlock()

	asking, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	held := make(chan struct{})
	if lastUpdate != "" { // without it GitLab never holds a request
		timer := time.AfterFunc(patience, func() {
			close(held)
			slots.yield()
			leave()
		})
		defer timer.Stop()
	}
	over := make(chan struct{})
	var watcher sync.WaitGroup
	defer watcher.Wait()
	defer close(over)
	watcher.Go(func() {
		select {
		case <-over:
			return
		case <-ctx.Done():
		}
		grace := time.NewTimer(drainGrace)
		defer grace.Stop()
		select {
		case <-over:
		case <-held:
			cancel()
		case <-grace.C:
			cancel()
		}
	})

	defer p.meter.open()()
	start := time.Now()
	offer, err := p.o.Source.RequestJob(asking, lastUpdate)
	o := outcome{sent: lastUpdate, offer: offer, err: err, took: time.Since(start)}
	// What GitLab held it answers without a value; one without a request value
	// it cannot have held.
	o.held = err == nil && offer.Job == nil && offer.LastUpdate == "" && lastUpdate != ""
	return o
}

// handle binds the slots and runs the job.
func (p *Poller) handle(ctx context.Context, j *job.Job, slots *lease) {
	if err := slots.bind(ctx); err != nil {
		// The daemon stops; the handler decides what becomes of the job.
		p.log.Warn("job has no slot, but polling has ended", zap.Int64("job", j.ID), zap.Error(err))
	}
	defer slots.release()
	slot := p.ids.take(j.ProjectID)
	defer p.ids.release(j.ProjectID, slot)
	defer p.meter.running()()
	p.o.Handler.Handle(ctx, j, slot)
}
