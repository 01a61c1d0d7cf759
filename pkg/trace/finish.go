package trace

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"go.uber.org/zap"

	"github.com/runnerd/runnerd/pkg/job"
)

// A Final is what GitLab shall know in the end.
type Final struct {
	State    job.State  // Success or Failed; GitLab makes Canceled of it when it wants
	Reason   job.Reason // one that the server supports; empty with Success
	ExitCode int        // 0 is not sent
}

type finish struct {
	Final
	since time.Time
	ctx   context.Context // of the caller of Finish, which waits: no request outlives it
	err   error           // set before ended is closed
}

// Finish sends what is left of the log, then the final state, and returns when
// GitLab has both or does not want them. It needs Run, and every Write has to
// be done. As long as ctx lives, Finish goes on trying, through outages of up to
// Options.FinishTimeout.
//
// An error means that GitLab may not know how the job ended (ctx or Run ended,
// [ErrUndelivered], or GitLab refuses the update for good), or that it knows but
// has not the whole log: see [IncompleteError].
func (t *Trace) Finish(ctx context.Context, f Final) error {
	if f.State == job.Canceled {
		f.State = job.Failed
	}
	ctx, cancel := t.bounded(ctx)
	defer cancel()
	final := &finish{Final: f, since: time.Now(), ctx: ctx}
	t.mu.Lock()
	if t.final != nil {
		t.mu.Unlock()
		return fmt.Errorf("finish job %d: already finishing", t.o.Job.ID)
	}
	t.final = final
	over, stopped := t.over, t.stopped
	t.mu.Unlock()
	switch {
	case over:
		return nil
	case stopped != nil:
		return fmt.Errorf("finish job %d: %w: %w", t.o.Job.ID, ErrStopped, stopped)
	}
	t.poke()
	select {
	case <-t.ended:
	case <-ctx.Done():
		// Run sees the same ctx end; it is not waited for, because it may never
		// have been started.
		return fmt.Errorf("finish job %d: %w", t.o.Job.ID, context.Cause(ctx))
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	err := final.err
	if errors.Is(err, ErrOver) || t.over {
		return nil
	}
	if err == nil {
		if t.broken != nil {
			return &IncompleteError{Err: t.broken}
		}
		return nil
	}
	return fmt.Errorf("finish job %d: %w", t.o.Job.ID, err)
}

// bounded returns a context that ends with ctx, or with ErrUndelivered.
func (t *Trace) bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	d := t.o.FinishTimeout
	return context.WithTimeoutCause(ctx, d, fmt.Errorf("%w within %v", ErrUndelivered, d))
}

// An IncompleteError says that GitLab knows how the job ended but lacks a part
// of its log.
type IncompleteError struct{ Err error }

func (e *IncompleteError) Error() string { return "log is incomplete at GitLab: " + e.Err.Error() }

// Unwrap returns the cause.
func (e *IncompleteError) Unwrap() error { return e.Err }

func (t *Trace) finishing() *finish {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.final
}

// mostRefusals is how often GitLab may refuse a request as wrong before the
// trace takes its word for it. Outages do not count.
const mostRefusals = 8

// deliver is the end of the trace: the rest of the log back to back, then the
// final state, as often as it takes.
func (t *Trace) deliver(run context.Context, f *finish) error {
	ctx, cancel := context.WithCancelCause(run)
	defer cancel(nil)
	defer context.AfterFunc(f.ctx, func() { cancel(context.Cause(f.ctx)) })()

	t.failures = 0
	t.release()
	refusals := 0
	for {
		if err := t.wait(ctx, time.Until(t.notBefore)); err != nil {
			return err
		}
		if !t.acknowledged {
			// GitLab wants to hear that a job runs before anything else about it.
			if err := t.touch(ctx); err != nil {
				return err
			}
			if t.isOver() {
				return ErrOver
			}
			if !t.acknowledged {
				continue
			}
		}
		done, err := t.flush(ctx)
		if done && !t.isOver() {
			done, err = t.report(ctx, f.Final)
		}
		switch {
		case t.isOver():
			return ErrOver
		case done:
			return nil
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case err == nil:
			continue // told to wait, and has waited
		}
		if errors.As(err, new(*refusal)) {
			if refusals++; refusals >= mostRefusals {
				return err
			}
		}
		t.failed("finish job", err)
	}
}

// flush sends the rest of the log. done says that nothing is left to send.
func (t *Trace) flush(ctx context.Context) (done bool, err error) {
	for refusals := 0; t.hasLog(); {
		answer, err := t.send(ctx)
		switch {
		case err != nil:
			return false, err
		case t.refused(answer):
			t.giveUp("send log", answer)
			return true, nil
		case answer.Status == http.StatusAccepted:
			t.failures = 0
		case answer.Status == http.StatusRequestedRangeNotSatisfiable:
			// Not the interval of this answer: that is for jobs that go on.
			if err := t.wait(ctx, defaultInterval); err != nil {
				return false, err
			}
		case answer.Status == http.StatusNotFound:
			t.abandonLog(errorOf(answer))
		case answer.Status == http.StatusRequestEntityTooLarge && t.chunkMax > minChunk:
			// a proxy wants smaller pieces; t.send has made them so
		case busy(answer.Status):
			return false, errorOf(answer)
		default:
			if refusals++; refusals >= mostRefusals {
				t.abandonLog(errorOf(answer))
				continue
			}
			if err := t.wait(ctx, t.backoffFor(refusals)); err != nil {
				return false, err
			}
		}
	}
	return true, nil
}

// report sends the final state. done says that GitLab has it or never will.
func (t *Trace) report(ctx context.Context, f Final) (done bool, err error) {
	answer, err := t.o.API.UpdateJob(ctx, t.o.Job, job.Update{
		State: f.State, Reason: f.Reason, ExitCode: f.ExitCode, Log: t.digest(),
	})
	if err != nil {
		return false, err
	}
	t.heard(answer)
	switch {
	case answer.Status == http.StatusOK:
		return true, nil
	case t.refused(answer) || unknown(answer.Status):
		t.giveUp("finish job", answer)
		return true, nil
	case answer.Status == http.StatusAccepted:
		t.failures = 0
		if answer.Interval <= 0 {
			answer.Interval = defaultInterval
		}
		return false, t.wait(ctx, min(answer.Interval, maxInterval))
	case busy(answer.Status):
		return false, errorOf(answer)
	default:
		return false, &refusal{errorOf(answer)}
	}
}

// abandonLog goes on without the rest of the log.
func (t *Trace) abandonLog(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.breakLog(fmt.Errorf("GitLab refuses the log: %w", err))
}

func (t *Trace) backoffFor(failures int) time.Duration {
	t.failures = failures
	return t.backoff()
}

func (t *Trace) wait(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	t.log.Debug("waiting before the next request", zap.Duration("wait", d))
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// busy tells whether a status means that GitLab may take the same later.
func busy(status int) bool {
	return status >= 500 || status == http.StatusTooManyRequests || status == http.StatusRequestTimeout
}

// A refusal is an answer that a repeat will hardly change.
type refusal struct{ error }
