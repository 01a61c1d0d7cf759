package agent

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/runnerd/runnerd/pkg/job"
)

// Why a job or a step ends before its time: causes of contexts.
var (
	errCanceled = errors.New("canceled")
	errAborted  = errors.New("stopped at once: GitLab does not want the job any more")
	errCluster  = errors.New("pod was asked to stop by the cluster")
	errTimeout  = errors.New("job timeout")

	// errSuperseded ends a job that has two helpers.
	errSuperseded = errors.New("the node has started the helper container again")
)

// outcome says how the job ended, from the first error that counts.
func (h *helper) outcome(err error) job.Outcome {
	var failure *job.Failure
	switch {
	case err == nil:
		return job.Outcome{State: job.Success}
	case errors.Is(err, errCanceled), errors.Is(err, errAborted):
		return job.Outcome{State: job.Canceled, Reason: job.JobCanceled, Message: err.Error()}
	case errors.Is(err, errTimeout):
		return job.Outcome{
			State: job.Failed, Reason: job.JobExecutionTimeout,
			Message: fmt.Sprintf("execution took longer than %s seconds", h.plan.Timeout),
		}
	case errors.Is(err, errCluster):
		return job.Outcome{State: job.Failed, Reason: job.RunnerSystemFailure, Message: errCluster.Error()}
	case errors.As(err, &failure):
		return job.Outcome{State: job.Failed, Reason: failure.Reason, ExitCode: failure.ExitCode, Message: err.Error()}
	}
	return job.Outcome{State: job.Failed, Reason: job.RunnerSystemFailure, Message: err.Error()}
}

// startedAgain is the result of a helper that is not the job's first: a kubelet that
// has lost track of a container, as when the container runtime was killed while it
// started it, starts another one, and the first may live. Two cannot share a job.
// What cannot be claimed counts as begun: nothing is run twice.
func (h *helper) startedAgain() job.Result {
	unbegun := h.share.claim() == nil // the first can begin no script from now on
	return job.Result{
		Outcome: job.Outcome{State: job.Failed, Reason: job.RunnerSystemFailure, Message: errSuperseded.Error()},
		Stopped: unbegun, Unbegun: unbegun,
	}
}

// exitFailure is a process of the job that ended with another code than 0.
// what may be empty: then it was the user's script.
func exitFailure(what string, code int) *job.Failure {
	f := job.Failf(job.ScriptFailure, "command terminated with exit code %d", code)
	if what != "" {
		f.Message = fmt.Sprintf("%s: exit code %d", what, code)
	}
	f.ExitCode = code
	return f
}

// cause returns why ctx ended if it did, and otherwise err: what goes wrong
// because the job is ended is not why it failed.
func cause(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// A canceler does what a graceful cancel does at the time it comes.
type canceler struct {
	mu       sync.Mutex
	end      context.CancelCauseFunc // what a cancel ends now; nil: nothing
	canceled bool
}

// aim says what a cancel ends from now on: nothing if end is nil.
func (c *canceler) aim(end context.CancelCauseFunc) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.end = end
}

// cancel cancels, once. It reports whether it is the first, and whether it
// ends anything.
func (c *canceler) cancel() (first, ends bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.canceled {
		return false, false
	}
	c.canceled = true
	if c.end == nil {
		return true, false
	}
	c.end(errCanceled)
	return true, true
}
