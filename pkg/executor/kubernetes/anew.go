package kubernetes

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

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
	remade   int
}

// after returns the line that tells the job why it begins anew after err, or the
// error that ends it.
func (r *rerun) after(err error, onRemade func()) (line string, end error) {
	var pull *pullError
	var lost *lostError
	switch {
	case errors.As(err, &pull):
		if !r.policies.advance(pull.container) {
			return "", pull.failure
		}
		return fmt.Sprintf("%s; trying again with pull policy %s", pull.failure.Message, r.policies.policy(pull.container)), nil
	case errors.As(err, &lost):
		if r.remade == maxRemade {
			lost.failure.Message += fmt.Sprintf(" (this was the last of %d pods)", maxRemade+1)
			return "", lost.failure
		}
		r.remade++
		if onRemade != nil {
			onRemade()
		}
		return fmt.Sprintf("%s; no script had begun, so the job begins anew in another pod (%d of %d)", lost.failure.Message, r.remade+1, maxRemade+1), nil
	}
	return "", err
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
// own word, the whole log of a dead helper, and that the pod never had a node.
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
		!state.gone && state.terminated(containerHelper) != nil && a.readToEnd && !a.begunSteps.Load():
		return &lostError{failure}
	}
	return nil
}
