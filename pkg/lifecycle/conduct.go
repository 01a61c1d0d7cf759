package lifecycle

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/runnerd/runnerd/pkg/executor"
	"github.com/runnerd/runnerd/pkg/job"
)

// conduct has run run the job, within the job's time, and passes GitLab's signals
// on meanwhile.
func (a *attempt) conduct(process context.Context, run func(context.Context, chan job.Signal) (job.Outcome, error)) (job.Outcome, error) {
	ctx, cancel := context.WithCancelCause(process)
	defer cancel(nil)
	limit := time.NewTimer(time.Until(a.deadline()))
	defer limit.Stop()
	a.begin = func() {}
	if a.held { // its time has not begun; poll_timeout bounds what comes before
		limit.Stop()
		a.begin = sync.OnceFunc(func() { limit.Reset(a.job.Timeout + deadlineSlack) })
	}
	// A log that waits for GitLab would hold up a process that lets go of the job.
	defer context.AfterFunc(process, func() {
		if a.detaching(process) {
			a.stop()
		}
	})()
	signals := make(chan job.Signal, 1)
	var helpers sync.WaitGroup
	helpers.Go(func() { forward(ctx, a.trace.Signals(), signals, cancel) })
	helpers.Go(func() { a.lookAtLines(ctx) })
	helpers.Go(func() { a.keepTime(ctx, limit, cancel) })
	defer helpers.Wait()
	defer cancel(nil)
	outcome, err := run(ctx, signals)
	return outcome, a.interrupted(process, err)
}

// keepTime ends the job when its time is up. The agent keeps the job's timeout; this
// is for the case that it cannot. While GitLab is behind, and the log is not read on
// for that, the job's end may wait unread in the pod.
func (a *attempt) keepTime(ctx context.Context, limit *time.Timer, end context.CancelCauseFunc) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-limit.C:
		}
		left := time.Until(a.trace.Blocked().Add(deadlineSlack))
		if left <= 0 {
			end(errDeadline)
			return
		}
		limit.Reset(left)
	}
}

// deadline is when the job is ended. Another process's job may have ended within
// its time while nobody was there to see it.
func (a *attempt) deadline() time.Time {
	end := a.received.Add(a.job.Timeout + deadlineSlack)
	if least := time.Now().Add(deadlineSlack); a.past != nil && end.Before(least) {
		return least
	}
	return end
}

// lookAtLines brings lines of the daemon's that wait for company into the log.
func (a *attempt) lookAtLines(ctx context.Context) {
	tick := time.NewTicker(recordLook)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			a.lines.look()
		}
	}
}

// deadlineSlack is how much later than the agent the daemon ends a job whose
// time is up: the agent's clock starts with the pod.
const deadlineSlack = 5 * time.Minute

// interrupted names the end of the process's own context: the job is left to the
// next process, if that can go on with it. What else was canceled is no reason that
// a job's author could do anything with.
func (a *attempt) interrupted(process context.Context, err error) error {
	switch {
	case process.Err() == nil || !errors.Is(err, context.Canceled) && !errors.Is(err, executor.ErrDetached):
		return err
	case a.detaching(process):
		return executor.ErrDetached
	}
	return errInterrupted
}

// detaching reports whether this process leaves the job to the next one.
func (a *attempt) detaching(process context.Context) bool {
	return errors.Is(context.Cause(process), executor.ErrDetached) && a.lines.journal.recorded()
}

// shelter returns a context that ends with process, but not before the job has its
// record where that is what the next process goes on with: GitLab may have handed it
// out in the moment of the signal. One that GitLab holds goes back there at once.
func (a *attempt) shelter(process context.Context) (ctx context.Context, release func()) {
	if a.runner.recorder == nil || a.held {
		return process, func() {}
	}
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(process))
	var waiting sync.WaitGroup
	waiting.Go(func() {
		select {
		case <-process.Done():
		case <-ctx.Done():
			return
		}
		cause := context.Cause(process)
		if errors.Is(cause, executor.ErrDetached) {
			patience := time.NewTimer(recordPatience)
			defer patience.Stop()
			select {
			case <-a.lines.journal.tried:
			case <-patience.C:
			case <-ctx.Done():
			}
		}
		cancel(cause)
	})
	return ctx, func() {
		cancel(nil)
		waiting.Wait()
	}
}

// forward passes a cancel on to the executor, and turns an abort into the end
// of the job's context. Signals come only as answers of GitLab, at most one of
// each kind.
func forward(ctx context.Context, from <-chan job.Signal, to chan<- job.Signal, cancel context.CancelCauseFunc) {
	for {
		select {
		case <-ctx.Done():
			return
		case signal := <-from:
			if signal == job.Abort {
				cancel(executor.ErrAborted)
				return
			}
			select {
			case to <- signal:
			case <-ctx.Done():
				return
			}
		}
	}
}
