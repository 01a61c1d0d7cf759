package kubernetes

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"go.uber.org/zap"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/runnerd/runnerd/pkg/executor"
	"github.com/runnerd/runnerd/pkg/job"
)

// maxRemade is how often a job's pod is made again when the cluster loses it
// before a script has begun.
const maxRemade = 2

// A lostError says that the cluster has taken the pod away, or its helper has
// died, and that certainly no script has begun.
type lostError struct{ failure *job.Failure }

func (e *lostError) Error() string { return e.failure.Message }

// A rerun decides whether a job gets another pod.
type rerun struct {
	policies *policyList
	pods     int // that were given up
	lost     int // of those, by the cluster
}

// An anew is why a job begins anew: for its record, and for its author.
type anew struct{ what, line string }

// after returns why the job begins anew after err, or the error that ends it.
func (r *rerun) after(err error) (why anew, end error) {
	var pull *pullError
	var lost *lostError
	switch {
	case errors.As(err, &pull):
		if !r.again(pull.container) {
			return anew{}, pull.failure
		}
		policy := r.policies.policy(pull.container)
		return anew{pull.container, fmt.Sprintf("%s; trying again with pull policy %s", pull.failure.Message, policy)}, nil
	case errors.As(err, &lost):
		if !r.again(executor.Lost) {
			return anew{}, job.Failf(lost.failure.Reason, "%s (this was the last of %d pods)", lost.failure.Message, maxRemade+1)
		}
		return anew{executor.Lost, fmt.Sprintf("%s; no script had begun, so the job begins anew in another pod (%d of %d)",
			lost.failure.Message, r.lost+1, maxRemade+1)}, nil
	}
	return anew{}, err
}

// again counts a pod that is given up for what; false when there is to be no other.
func (r *rerun) again(what string) bool {
	r.pods++
	if what == executor.Lost {
		r.lost++
		return r.lost <= maxRemade
	}
	return r.policies.advance(what)
}

// giveUp leaves the job's n-th pod for another one.
func (e *Executor) giveUp(ctx context.Context, task executor.Task, n int, why anew) error {
	e.log.Info("job begins anew in another pod", zap.Int64("job", task.Plan.JobID), zap.String("why", why.line))
	if task.Again != nil {
		if err := task.Again(ctx, why.what); err != nil {
			return err
		}
	}
	return e.clear(ctx, task.Plan, n)
}

// clear deletes the job's n-th pod, and keeps the cluster from deleting the
// job's Secrets with it.
func (e *Executor) clear(ctx context.Context, plan *job.Plan, n int) error {
	if err := e.disownSecrets(ctx, plan); err != nil {
		return err
	}
	return e.deletePod(ctx, e.namespace(plan), podName(e.id, plan, n), seconds(e.cfg.CleanupGracePeriod))
}

func (e *Executor) disownSecrets(ctx context.Context, plan *job.Plan) error {
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"ownerReferences": nil}})
	if err != nil {
		return fmt.Errorf("disown the job's Secrets: %w", err)
	}
	for _, name := range e.secretNames(plan) {
		err := retry(ctx, e.cfg.PollTimeout, func(error) {}, func() error {
			_, err := e.client.API.CoreV1().Secrets(e.namespace(plan)).Patch(ctx, name, types.MergePatchType, patch, metav1.PatchOptions{})
			return err
		})
		if err != nil && !apierrors.IsNotFound(err) { // it is made again with the next pod
			return ctxOr(ctx, err, func() error { return refusal(fmt.Sprintf("change Secret %q", name), err) })
		}
	}
	return nil
}

// lost returns why the pod is gone when no script can have begun in it, and nil
// when one may have: a job must not run twice. What is certain is the helper's
// own word, the whole log of a dead helper, that the pod never had a node, and that
// the runtime broke down while it started the build container.
func (a *attempt) lost(outcome job.Outcome, err error) *lostError {
	state, _ := a.view.get()
	var failure *job.Failure
	switch {
	case a.canceled:
		return nil
	case err == nil && a.unbegun:
		return &lostError{&job.Failure{Reason: outcome.Reason, Message: outcome.Message}}
	case !errors.As(err, &failure), failure.Reason != job.RunnerSystemFailure, state.pod == nil:
		return nil
	case state.gone && !state.stale && !state.scheduled(),
		!state.gone && state.terminated(containerHelper) != nil && a.readToEnd && !a.begunSteps.Load(),
		state.brokeAtStart(containerBuild) && !a.begunSteps.Load():
		return &lostError{failure}
	}
	return nil
}
