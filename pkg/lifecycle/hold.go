package lifecycle

import (
	"context"
	"errors"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/runnerd/runnerd/pkg/executor"
	"github.com/runnerd/runnerd/pkg/trace"
)

// holdAgain is for how long a GitLab that does not hold jobs is not asked again
// whether it does.
const holdAgain = time.Hour

// A holder knows whether GitLab keeps jobs pending until they are placed (two-phase
// commit).
type holder struct {
	wanted bool

	mu    sync.Mutex
	after time.Time // when to ask again
}

func (h *holder) asks() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.wanted && !time.Now().Before(h.after)
}

func (h *holder) refused() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.after = time.Now().Add(holdAgain)
}

// accept tells GitLab that the job has come: that it runs, or that it is to be held.
func (r *Runner) accept(ctx context.Context, a *attempt) (trace.Verdict, error) {
	if a.plan == nil || !r.holds.asks() {
		return acknowledge(ctx, a.trace)
	}
	asking, cancel := context.WithTimeout(ctx, acknowledgeTimeout)
	defer cancel()
	verdict, held, err := a.trace.Hold(asking)
	if held {
		a.held = true
		return verdict, err
	}
	r.Log.Info("GitLab does not hold jobs (two-phase commit): they run from the moment they are taken", zap.Duration("asking_again_after", holdAgain))
	r.holds.refused()
	return acknowledge(ctx, a.trace)
}

// placed is called by the executor: it is certain where the job runs. The job's time
// begins when GitLab has heard it.
func (a *attempt) placed(ctx context.Context) error {
	if err := a.trace.Confirm(ctx); err != nil {
		return err
	}
	a.begin()
	return nil
}

// givesBack reports whether a job that has ended with err is GitLab's again: it is
// still held, and this process found no room for it or is to end. GitLab queues it
// anew when it has heard nothing for two minutes.
func (a *attempt) givesBack(err error) (why string, yes bool) {
	if !a.held || !a.trace.Held() {
		return "", false
	}
	if unplaced, ok := errors.AsType[*executor.UnplacedError](err); ok {
		return unplaced.For, true
	}
	return "stop", errors.Is(err, errInterrupted)
}
