package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/runnerd/runnerd/pkg/executor/relay"
	"github.com/runnerd/runnerd/pkg/job"
)

const (
	farAway        = time.Hour              // nothing is due
	repeatLook     = 100 * time.Millisecond // how often a log that is repeated is looked at
	repeatPatience = 30 * time.Second       // how long it may bring nothing
)

// supervise waits for the job's end: the result in its log, or a sign in the
// pod's status that there will be none.
func (a *attempt) supervise(ctx context.Context, followed <-chan error) (job.Outcome, error) {
	a.noteAt = a.begun.Add(slowPull)
	sent := a.cancelSent
	timer := time.NewTimer(farAway)
	defer timer.Stop()
	for {
		state, changed := a.view.get()
		a.clock.see(state)
		a.confirm(ctx, state)
		due, err := a.judge(ctx, state, time.Now())
		switch {
		case errors.Is(err, errNoResult):
			return a.conclude(ctx, err)
		case err != nil:
			return a.giveUp(err)
		}
		timer.Reset(due)
		select {
		case <-ctx.Done():
			return job.Outcome{}, context.Cause(ctx)
		case err := <-followed:
			a.readToEnd = errors.Is(err, errNoResult)
			return a.conclude(ctx, err)
		case signal := <-a.signals:
			if signal == job.CancelGracefully && !a.canceled {
				a.cancel(ctx)
			}
		case <-sent:
			sent, a.cancelAt = nil, time.Now()
		case <-a.canceling:
			a.canceling, a.answered = nil, true
		case <-changed:
		case <-timer.C:
		}
	}
}

// confirm says that the pod has a node, as soon as it has, and lets a pod that is
// held begin when that has been heard.
func (a *attempt) confirm(ctx context.Context, state podState) {
	if a.placed == nil || !state.scheduled() {
		return
	}
	placed := a.placed
	a.placed = nil
	if a.plan.Helper.Held {
		a.begun = time.Now() // it has waited for a node at GitLab's cost, not at that of its start
	}
	a.background.Go(func() {
		err := placed(ctx)
		if err == nil && a.plan.Helper.Held {
			err = a.e.annotate(ctx, a.plan.JobID, a.view.namespace, a.pod, annotationGo, "true")
		}
		if err != nil && ctx.Err() == nil {
			a.log.Warn("pod is not let begin", zap.Error(err))
		}
	})
}

// giveUp returns err unless the result came in the same moment.
func (a *attempt) giveUp(err error) (job.Outcome, error) {
	if result, ok := a.relay.Result(); ok {
		if missing := a.serviceTrouble(); missing != nil && !a.canceled {
			return job.Outcome{}, missing
		}
		return a.outcome(result), nil
	}
	if a.canceled {
		a.log.Info("canceled job ended without a result", zap.Error(err))
		return canceledOutcome(), nil
	}
	return job.Outcome{}, err
}

// judge looks at the pod's status for what cannot go well. due is when to look
// again even if nothing changes.
func (a *attempt) judge(ctx context.Context, state podState, now time.Time) (due time.Duration, err error) {
	if a.repeating(now) {
		return repeatLook, nil
	}
	due = farAway
	for _, look := range []func(podState, time.Time) (time.Duration, error){
		a.lookAtTroubles, a.lookAtStart, a.lookAtBuild, a.lookAtDeletion, a.lookAtSilence,
	} {
		next, err := look(state, now)
		if err != nil {
			return 0, err
		}
		due = min(due, next)
	}
	return min(due, a.lookAtCancel(ctx, state, now)), nil
}

// cancel asks the helper to end the script and go on with what comes after it.
func (a *attempt) cancel(ctx context.Context) {
	a.canceled = true
	a.background.Go(func() {
		if err := a.e.annotate(ctx, a.plan.JobID, a.view.namespace, a.pod, annotationSignal, "cancel"); err != nil && ctx.Err() == nil {
			a.log.Warn("cancel job; the pod will be deleted", zap.Error(err))
		}
		close(a.cancelSent)
	})
}

// conclude turns the end of the log into the end of the job.
func (a *attempt) conclude(ctx context.Context, err error) (job.Outcome, error) {
	if result, ok := a.relay.Result(); ok {
		if missing := a.missingService(ctx, result.Outcome); missing != nil {
			return job.Outcome{}, missing
		}
		if gone := a.buildGone(ctx, result); gone != nil {
			return job.Outcome{}, gone
		}
		return a.outcome(result), nil
	}
	state, _ := a.view.get()
	switch {
	case ctx.Err() != nil:
		return job.Outcome{}, context.Cause(ctx)
	case errors.Is(err, relay.ErrCorrupt):
		return job.Outcome{}, job.Failf(job.RunnerSystemFailure, "log of pod %s cannot be trusted: %v", a.pod, err)
	case !errors.Is(err, errNoResult):
		return job.Outcome{}, fmt.Errorf("follow log of pod %q: %w", a.pod, err)
	}
	if result, ok := a.lastWords(state); ok {
		return a.outcome(result), nil
	}
	if t := findTroubleOf(state); t != nil {
		return a.giveUp(a.e.failure(a.plan, t))
	}
	return a.giveUp(state.end())
}

// outcome fits what the helper reported to what happened around it.
func (a *attempt) outcome(result *job.Result) job.Outcome {
	o := result.Outcome
	a.stopped, a.unbegun = result.Stopped, result.Unbegun
	if (a.gaveUp || a.canceled && a.stopped) && o.State != job.Success {
		return canceledOutcome()
	}
	if o.State != job.Failed || o.Reason != job.RunnerSystemFailure {
		return o
	}
	state, _ := a.view.get()
	if why := state.whyStopped(result.Stopped); why != "" {
		o.Message = fmt.Sprintf("%s (%s, node %s)", o.Message, why, state.pod.Spec.NodeName)
	}
	return o
}
