package poller

import (
	"context"
	"sync"
)

// A lease is a slot of the runner entry and one of the whole daemon, or neither.
type lease struct {
	entry, daemon *Slots

	mu      sync.Mutex
	held    bool
	settled bool // the answer is there: yield has nothing to say any more
}

// acquire takes both slots for a request, the entry's first: whoever waits for
// it keeps nobody else waiting.
func (l *lease) acquire(ctx context.Context) error {
	return l.both(ctx, (*Slots).acquire)
}

// bind makes sure that a job has its slots, waiting for them if need be.
func (l *lease) bind(ctx context.Context) error {
	if l.settle() {
		return nil
	}
	return l.both(ctx, (*Slots).acquireJob)
}

func (l *lease) both(ctx context.Context, acquire func(*Slots, context.Context) error) error {
	if err := acquire(l.entry, ctx); err != nil {
		return err
	}
	if err := acquire(l.daemon, ctx); err != nil {
		l.entry.release()
		return err
	}
	l.mu.Lock()
	l.held = true
	l.mu.Unlock()
	return nil
}

// settle says that the answer is there; held tells whether the slots still are.
func (l *lease) settle() (held bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.settled = true
	return l.held
}

// yield gives the slots back while the request waits for its answer.
func (l *lease) yield() {
	l.mu.Lock()
	give := l.held && !l.settled
	l.held = l.held && !give
	l.mu.Unlock()
	if give {
		l.giveBack()
	}
}

// release gives the slots back if they are held.
func (l *lease) release() {
	l.mu.Lock()
	held := l.held
	l.held = false
	l.mu.Unlock()
	if held {
		l.giveBack()
	}
}

func (l *lease) giveBack() {
	l.daemon.release()
	l.entry.release()
}
