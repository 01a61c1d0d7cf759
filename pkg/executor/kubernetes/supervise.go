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

// farAway is when nothing is due.
const farAway = time.Hour

// supervise waits for the job's end: the result in its log, or a sign in the
// pod's status that there will be none.
func (a *attempt) supervise(ctx context.Context, followed <-chan error) (job.Outcome, error) {
	a.noteAt = a.begun.Add(slowPull)
	sent := a.cancelSent
	timer := time.NewTimer(farAway)
	defer timer.Stop()
	for {
		state, changed := a.view.get()
		due, err := a.judge(ctx, state, time.Now())
		if err != nil {
			return a.giveUp(err)
		}
		timer.Reset(due)
		select {
		case <-ctx.Done():
			return job.Outcome{}, context.Cause(ctx)
		case err := <-followed:
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

// giveUp returns err unless the result came in the same moment.
func (a *attempt) giveUp(err error) (job.Outcome, error) {
	if result, ok := a.relay.Result(); ok {
		return result.Outcome, nil
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
	due = farAway
	for _, look := range []func(podState, time.Time) (time.Duration, error){
		a.lookAtTroubles, a.lookAtStart, a.lookAtBuild, a.lookAtDeletion,
	} {
		next, err := look(state, now)
		if err != nil {
			return 0, err
		}
		due = min(due, next)
	}
	return min(due, a.lookAtCancel(ctx, state, now)), nil
}

// lookAtTroubles gives a trouble that can heal its budget, and any other none.
func (a *attempt) lookAtTroubles(state podState, now time.Time) (time.Duration, error) {
	if state.pod == nil || state.over() {
		return farAway, nil
	}
	t := findTrouble(state.pod)
	if t == nil {
		clear(a.troubles)
		return farAway, nil
	}
	since, seen := a.troubles[t.container]
	if !seen {
		a.log.Info("pod has trouble starting",
			zap.String("container", t.container), zap.String("reason", t.state), zap.String("message", t.message))
		a.troubles[t.container], since = now, now
	}
	if left := pullBudget - now.Sub(since); t.heals && left > 0 {
		return left, nil
	}
	failure := a.e.failure(a.plan, t)
	if t.pull {
		return 0, &pullError{container: t.container, failure: failure}
	}
	return 0, failure
}

// lookAtStart bounds the time until the pod runs and says what it waits for.
func (a *attempt) lookAtStart(state podState, now time.Time) (time.Duration, error) {
	if state.started() || state.over() {
		return farAway, nil
	}
	waits := state.waitsFor()
	left := a.e.cfg.PollTimeout - now.Sub(a.begun)
	if left <= 0 {
		return 0, job.Failf(job.RunnerSystemFailure, "pod %s did not start within %v (poll_timeout); it waited for %s", a.pod, a.e.cfg.PollTimeout, waits)
	}
	if now.Before(a.noteAt) {
		return min(left, a.noteAt.Sub(now)), nil
	}
	if waits != a.noted && waits != "" {
		a.noted = waits
		a.out.info("Waiting for " + waits)
	}
	return left, nil
}

// lookAtBuild notices a build container that died under the helper, which
// cannot see it: on most nodes the out-of-memory killer ends whole containers.
func (a *attempt) lookAtBuild(state podState, now time.Time) (time.Duration, error) {
	t := state.terminated(containerBuild)
	switch {
	case t == nil, state.over():
		return farAway, nil
	case a.buildEnded.IsZero(), a.deaf():
		a.buildEnded = now
	}
	if left := buildEndPatience - now.Sub(a.buildEnded); left > 0 {
		return left, nil
	}
	if t.Reason == "OOMKilled" {
		limit := ""
		if q, ok := a.e.cfg.build.Limits["memory"]; ok {
			limit = fmt.Sprintf(" of %s", q.String())
		}
		return 0, &job.Failure{
			Reason: job.ScriptFailure, ExitCode: int(t.ExitCode),
			Message: fmt.Sprintf("build container ran out of memory: it was killed at its limit%s (OOMKilled, exit code %d)", limit, t.ExitCode),
		}
	}
	return 0, job.Failf(job.RunnerSystemFailure, "build container ended under the running job on node %s: %s", state.pod.Spec.NodeName, ending(t))
}

// lookAtDeletion bounds the wait for the helper's last words in a pod that
// somebody deletes. On a lost node they never come.
func (a *attempt) lookAtDeletion(state podState, now time.Time) (time.Duration, error) {
	if state.pod == nil || state.pod.DeletionTimestamp == nil || state.over() {
		return farAway, nil
	}
	if a.deleteUntil.IsZero() {
		// DeletionTimestamp is when the grace period ends, by the API server's clock.
		grace := time.Duration(0)
		if s := state.pod.DeletionGracePeriodSeconds; s != nil {
			grace = time.Duration(*s) * time.Second
		}
		a.deleteUntil = now.Add(grace + deletePatience)
		a.log.Info("pod is being deleted", zap.String("why", state.disruption()), zap.Bool("for_cancel", a.gaveUp))
	}
	if left := a.deleteUntil.Sub(now); left > 0 {
		return left, nil
	}
	return 0, state.end()
}

// deaf reports whether the helper may have said what has not been heard: there
// is no connection to it, or GitLab has not taken what came before.
func (a *attempt) deaf() bool { return a.out.blocked() || !a.follower.connected.Load() }

// cancel asks the helper to end the script and go on with what comes after it.
func (a *attempt) cancel(ctx context.Context) {
	a.canceled = true
	a.background.Go(func() {
		if err := a.e.annotate(ctx, a.pod, annotationSignal, "cancel"); err != nil && ctx.Err() == nil {
			a.log.Warn("cancel job; the pod will be deleted", zap.Error(err))
		}
		close(a.cancelSent)
	})
}

// lookAtCancel deletes the pod when its helper does not answer a cancel; one
// without a node has none.
func (a *attempt) lookAtCancel(ctx context.Context, state podState, now time.Time) time.Duration {
	if !a.canceled || a.answered || a.gaveUp || state.over() {
		return farAway
	}
	if state.pod == nil || state.scheduled() {
		if a.cancelAt.IsZero() {
			return farAway
		}
		if helper := state.status(containerHelper); helper != nil && helper.State.Running != nil && a.deaf() {
			a.cancelAt = now
		}
		if left := cancelPatience - now.Sub(a.cancelAt); left > 0 {
			return left
		}
	}
	a.gaveUp = true
	a.log.Info("helper does not answer the cancel; deleting the pod")
	a.background.Go(func() {
		if err := a.e.deletePod(ctx, a.pod, nil); err != nil && ctx.Err() == nil {
			a.log.Warn("cancel job", zap.Error(err))
		}
	})
	return farAway
}

// conclude turns the end of the log into the end of the job.
func (a *attempt) conclude(ctx context.Context, err error) (job.Outcome, error) {
	if result, ok := a.relay.Result(); ok {
		return a.outcome(result.Outcome), nil
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
	if outcome, ok := a.lastWords(state); ok {
		return a.outcome(outcome), nil
	}
	if t := findTroubleOf(state); t != nil {
		return a.giveUp(a.e.failure(a.plan, t))
	}
	return a.giveUp(state.end())
}

// outcome fits what the helper reported to what happened around it.
func (a *attempt) outcome(o job.Outcome) job.Outcome {
	state, _ := a.view.get()
	switch why := state.disruption(); {
	case a.gaveUp && o.State != job.Success:
		return canceledOutcome()
	case why != "" && o.State == job.Failed && o.Reason == job.RunnerSystemFailure:
		o.Message = fmt.Sprintf("%s (%s, node %s)", o.Message, why, state.pod.Spec.NodeName)
	}
	return o
}
