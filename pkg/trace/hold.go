package trace

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/runnerd/runnerd/pkg/job"
)

// Hold comes instead of Acknowledge for a job that is not to run yet: GitLab keeps
// it pending, and its time does not begin, until Confirm or Finish. Run sends
// nothing but that the job is still wanted; what is written waits. When Run ends
// before that, GitLab hands the job to somebody else, after two minutes.
//
// held is false when GitLab does not know how to hold a job; it then has to be
// acknowledged. An error comes with GoOn: Run tries again.
func (t *Trace) Hold(ctx context.Context) (verdict Verdict, held bool, err error) {
	t.setHeld(true)
	answer, err := t.o.API.UpdateJob(ctx, t.o.Job, job.Update{State: job.Pending})
	switch {
	case err != nil:
		return GoOn, true, err
	case t.refused(answer) || unknown(answer.Status):
		t.giveUp("hold", answer)
		return Drop, true, nil
	}
	t.heard(answer)
	switch {
	case answer.Status == http.StatusOK && answer.JobState != "canceling":
		return GoOn, true, nil
	case busy(answer.Status):
		return GoOn, true, errorOf(answer)
	}
	t.setHeld(false)
	return GoOn, false, nil
}

// Held reports whether GitLab shall keep the job pending.
func (t *Trace) Held() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.held
}

// Confirm tells GitLab that a held job runs, and returns when GitLab has taken that;
// it needs Run. An error says that it will not: GitLab has given the job to another
// ([ErrOver]), or Run or ctx has ended. Of a job that is not held, it is the same.
func (t *Trace) Confirm(ctx context.Context) error {
	t.release()
	select {
	case <-t.running:
		return nil
	case <-t.ended:
	case <-ctx.Done():
		return fmt.Errorf("confirm job %d: %w", t.o.Job.ID, context.Cause(ctx))
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.over {
		return fmt.Errorf("confirm job %d: %w", t.o.Job.ID, ErrOver)
	}
	return fmt.Errorf("confirm job %d: %w", t.o.Job.ID, errors.Join(ErrStopped, t.stopped))
}

// release ends the hold: the next that GitLab hears is that the job runs.
func (t *Trace) release() {
	t.setHeld(false)
	t.poke()
}

func (t *Trace) setHeld(held bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.held = held
}

// acknowledge notes that GitLab knows that the job runs.
func (t *Trace) acknowledge() {
	if !t.acknowledged {
		t.acknowledged = true
		close(t.running)
	}
}

// stillHeld learns from the answer to a touch of a held job.
func (t *Trace) stillHeld(answer job.Answer) {
	switch {
	case answer.Status == http.StatusOK:
		t.failures = 0
	case busy(answer.Status):
		t.failed("hold job", errorOf(answer))
	default: // it is a GitLab that does not hold jobs
		t.release()
	}
}
