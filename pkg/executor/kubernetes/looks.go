package kubernetes

import (
	"context"
	"time"

	"go.uber.org/zap"

	"github.com/runnerd/runnerd/pkg/executor"
	"github.com/runnerd/runnerd/pkg/job"
)

// Each look judges one thing about the pod's status: it returns how soon to look
// again even if nothing changes, and an error when the job cannot end well.

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
		failure := job.Failf(job.RunnerSystemFailure, "pod %s did not start within %v (poll_timeout); it waited for %s", a.pod, a.e.cfg.PollTimeout, waits)
		if state.scheduled() {
			return 0, failure
		}
		return 0, &executor.UnplacedError{For: executor.FullUnschedulable, Failure: failure}
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
	if t == nil || state.over() {
		return farAway, nil
	}
	if left := a.awaitNews(&a.afterBuild, now, buildEndPatience, a.deaf() || a.follower.gap.Load()); left > 0 {
		return left, nil
	}
	failure := state.buildFailure(t)
	if a.plan.Helper.Entrypoint && failure.Reason != job.ScriptFailure {
		failure.Message += "; if no script ran: the image's entrypoint must run its arguments (exec \"$@\"), as FF_KUBERNETES_HONOR_ENTRYPOINT wants it to"
	}
	return 0, failure
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

// lookAtSilence ends the wait for a log stream that stays open and says nothing
// though the helper is over, as it does when the node is lost.
func (a *attempt) lookAtSilence(state podState, now time.Time) (time.Duration, error) {
	if !state.over() {
		return farAway, nil
	}
	if left := a.awaitNews(&a.afterHelper, now, silencePatience, a.deaf()); left > 0 {
		return left, nil
	}
	return 0, errNoResult
}

// A quiet is a time in which the log brings nothing.
type quiet struct {
	since  time.Time
	next   int64 // the next frame then
	hungUp bool  // the stream was replaced for it
}

// awaitNews returns how long the log may still bring nothing: patience from the last
// frame, or excuse, on. Then the stream is replaced, for it may have died with
// something on its way, as with the node's container runtime, and the new one gets the
// same time.
func (a *attempt) awaitNews(q *quiet, now time.Time, patience time.Duration, excused bool) time.Duration {
	if next := a.relay.NextSeq(); q.since.IsZero() || next != q.next || excused {
		q.hungUp = q.hungUp && next == q.next
		q.since, q.next = now, next
	}
	left := patience - now.Sub(q.since)
	if left <= 0 && !q.hungUp {
		q.hungUp, q.since = true, now
		a.follower.hangUp()
		return patience
	}
	return max(left, 0)
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
		if err := a.e.deletePod(ctx, a.view.namespace, a.pod, nil); err != nil && ctx.Err() == nil {
			a.log.Warn("cancel job", zap.Error(err))
		}
	})
	return farAway
}

// deaf reports whether the helper may have said what has not been heard: there
// is no connection to it, or GitLab has not taken what came before.
func (a *attempt) deaf() bool { return a.out.blocked() || !a.follower.connected.Load() }
