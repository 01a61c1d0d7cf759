package trace

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"time"

	"go.uber.org/zap"

	"github.com/runnerd/runnerd/pkg/job"
)

const (
	maxChunk        = 1 << 20
	minChunk        = 4 << 10
	defaultInterval = 3 * time.Second
	maxInterval     = 15 * time.Minute
	maxBackoff      = time.Minute
)

// A Verdict is what to do with a job after it was acknowledged.
type Verdict int

// The verdicts.
const (
	GoOn   Verdict = iota // run the job
	Cancel                // somebody canceled it: finish it at once as failed, job_canceled
	Drop                  // it is over at GitLab: forget it, report nothing
)

// Acknowledge tells GitLab that the job runs here. It comes before Run and
// before any work. An error comes with GoOn: the job goes on, and Run tries
// again.
func (t *Trace) Acknowledge(ctx context.Context) (Verdict, error) {
	answer, err := t.o.API.UpdateJob(ctx, t.o.Job, job.Update{State: job.Running})
	if err != nil {
		return GoOn, err
	}
	if t.refused(answer) || unknown(answer.Status) {
		t.giveUp("acknowledge", answer)
		return Drop, nil
	}
	t.heard(answer)
	if answer.JobState == "canceling" {
		t.acknowledge()
		t.canceling = true
		return Cancel, nil
	}
	if answer.Status != http.StatusOK {
		return GoOn, errorOf(answer)
	}
	t.acknowledge()
	return GoOn, nil
}

// Run sends the log until Finish has been carried out, until GitLab does not
// want the job any more (nil in both cases), or until ctx ends (its cause).
func (t *Trace) Run(ctx context.Context) error {
	defer t.o.Budget.join()()
	t.o.Backlog.join(t)
	defer t.o.Backlog.leave(t)
	var err error
	for {
		if t.isOver() {
			err = ErrOver
			break
		}
		if final := t.finishing(); final != nil {
			err = t.deliver(ctx, final)
			break
		}
		if err = t.step(ctx); err != nil {
			break
		}
	}
	t.stop(err)
	if errors.Is(err, ErrOver) {
		return nil
	}
	return err
}

// stop lets everybody go who waits for Run.
func (t *Trace) stop(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.stopped = err
	if err == nil {
		t.stopped = errors.New("the log is finished")
	}
	if t.final != nil {
		t.final.err = err
	}
	t.pending.release()
	t.room.Broadcast()
	close(t.ended)
}

// step waits for what is due next and does it.
func (t *Trace) step(ctx context.Context) error {
	now := time.Now()
	patchAt, touchAt := t.due(now)
	next := touchAt
	if !patchAt.IsZero() && patchAt.Before(next) {
		next = patchAt
	}
	if wait := next.Sub(now); wait > 0 {
		timer := time.NewTimer(wait)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-t.wake:
			return nil // look again what is due
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		now = time.Now()
	}
	if t.acknowledged && !patchAt.IsZero() && !patchAt.After(now) {
		return t.patch(ctx)
	}
	return t.touch(ctx)
}

// due returns when the next piece of the log (zero: there is none) and the next
// touch may go out.
func (t *Trace) due(now time.Time) (patchAt, touchAt time.Time) {
	if t.hasLog() && t.acknowledged {
		patchAt = latest(now, t.notBefore) // the first piece goes out at once
		if !t.lastPatch.IsZero() {
			patchAt = latest(t.lastPatch.Add(t.interval), t.notBefore)
		}
	}
	if held := t.Held(); t.wasHeld && !held {
		t.lastContact = time.Time{} // the job runs: GitLab has to hear it at once
		t.wasHeld = false
	} else {
		t.wasHeld = held
	}
	silence := min(10*time.Second, max(time.Second, t.interval/2))
	touchAt = latest(t.lastContact.Add(t.o.Budget.stretch(silence)), t.notBefore)
	return patchAt, touchAt
}

func latest(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

// patch sends one piece of the log while the job runs. What went wrong is
// tried again at the next interval.
func (t *Trace) patch(ctx context.Context) error {
	answer, err := t.send(ctx)
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case err != nil:
		t.failed("send log", err)
	case t.refused(answer):
		t.giveUp("send log", answer)
	case answer.Status != http.StatusAccepted && answer.Status != http.StatusRequestedRangeNotSatisfiable:
		t.failed("send log", errorOf(answer))
	default:
		t.failures = 0
	}
	return nil
}

// touch tells GitLab that the job lives, or is still to be held, and finds out whether it shall.
func (t *Trace) touch(ctx context.Context) error {
	update, held := job.Update{State: job.Running, Log: t.digest()}, t.Held()
	if !t.acknowledged {
		update.Log = nil
	}
	if held {
		update.State = job.Pending
	}
	answer, err := t.o.API.UpdateJob(ctx, t.o.Job, update)
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case err != nil:
		t.failed("touch job", err)
	case t.refused(answer) || unknown(answer.Status):
		t.giveUp("touch job", answer)
	default:
		t.heard(answer)
		if held {
			t.stillHeld(answer)
			return nil
		}
		// A server that dislikes the update itself still takes the log.
		if !busy(answer.Status) {
			t.acknowledge()
		}
		if answer.Status != http.StatusOK {
			t.failed("touch job", errorOf(answer))
			return nil
		}
		t.failures = 0
	}
	return nil
}

// send makes one PATCH of what is due and learns from the answer.
func (t *Trace) send(ctx context.Context) (job.Answer, error) {
	t.mu.Lock()
	offset := t.pending.start
	chunk, err := t.pending.chunk(t.chunkMax)
	if err != nil {
		t.breakLog(err)
		t.mu.Unlock()
		return job.Answer{}, err
	}
	t.mu.Unlock()
	answer, err := t.o.API.PatchTrace(ctx, t.o.Job, offset, chunk, t.o.Debug)
	t.lastPatch = time.Now()
	if err != nil {
		return answer, err
	}
	t.heard(answer)
	switch answer.Status {
	case http.StatusAccepted:
		t.confirm(offset + int64(len(chunk)))
	case http.StatusRequestedRangeNotSatisfiable:
		t.confirm(max(answer.Length, 0))
	case http.StatusRequestEntityTooLarge:
		t.chunkMax = max(len(chunk)/2, minChunk)
	}
	return answer, nil
}

// failed keeps Run from calling again at once.
func (t *Trace) failed(what string, err error) {
	t.failures++
	wait := t.backoff()
	t.notBefore = latest(time.Now().Add(wait), t.notBefore)
	t.log.Warn("GitLab does not take the job's news; will try again", zap.String("what", what),
		zap.Error(err), zap.Int("failures", t.failures), zap.Duration("wait", wait))
}

// backoff doubles from 1 s to a minute; the upper half is random.
func (t *Trace) backoff() time.Duration {
	full := min(time.Second<<min(max(t.failures-1, 0), 10), maxBackoff)
	return full/2 + rand.N(full/2+1)
}
