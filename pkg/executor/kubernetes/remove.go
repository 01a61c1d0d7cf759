package kubernetes

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/runnerd/runnerd/pkg/executor"
	"github.com/runnerd/runnerd/pkg/job"
)

// goneRetry is how often Remove asks for a pod whose end no event tells.
const goneRetry = 2 * time.Second

// Remove deletes the job's pods and Secrets and waits until the pods are gone,
// at most two minutes; see [executor.Executor].
func (e *Executor) Remove(ctx context.Context, task executor.Task) error {
	ctx, cancel := context.WithTimeoutCause(ctx, removeTimeout,
		fmt.Errorf("not gone after %v; look for finalizers or a lost node", removeTimeout))
	defer cancel()
	if e.checkNamespace(task.Plan) == nil { // otherwise nothing was created, and runnerd may not even look
		if err := e.removeAll(ctx, task.Plan, task.Kept); err != nil {
			return err
		}
	}
	e.release(task.Plan.JobID)
	return nil
}

func (e *Executor) removeAll(ctx context.Context, plan *job.Plan, kept bool) error {
	namespace := e.namespace(plan)
	// The record goes first. Without one, no process goes on with the job, and the
	// next one sweeps what is left.
	if err := e.deleteSecret(ctx, namespace, recordName(e.id, plan)); err != nil {
		return err
	}
	var group errgroup.Group
	pods := e.podCount(plan)
	if kept {
		pods = 0
	}
	for n := range pods {
		group.Go(func() error { return e.removePod(ctx, namespace, podName(e.id, plan, n)) })
	}
	for _, name := range e.secretNames(plan) {
		group.Go(func() error { return e.deleteSecret(ctx, namespace, name) })
	}
	return group.Wait()
}

// podCount is how many pods Run has made for plan or, when it was another
// process's, the most that it can have made.
func (e *Executor) podCount(plan *job.Plan) int {
	if c, ok := e.claimOf(plan.JobID); ok && c.pods != unknownPods {
		return c.pods
	}
	policies, err := e.policies(plan)
	if err != nil {
		return 1
	}
	return policies.attempts() + maxRemade
}

func (e *Executor) removePod(ctx context.Context, namespace, name string) error {
	pods := e.pods[namespace]
	view := pods.view(name)
	defer pods.drop(view)
	if err := e.deletePod(ctx, namespace, name, seconds(e.cfg.CleanupGracePeriod)); err != nil {
		return err
	}
	ask := time.NewTimer(0)
	defer ask.Stop()
	for {
		state, changed := view.get()
		if state.gone {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("delete pod %q: %w", name, context.Cause(ctx))
		case <-changed:
		case <-ask.C:
			_, err := e.client.API.CoreV1().Pods(namespace).Get(ctx, name, metav1.GetOptions{})
			if apierrors.IsNotFound(err) {
				return nil
			}
			ask.Reset(goneRetry)
		}
	}
}

func (e *Executor) deleteSecret(ctx context.Context, namespace, name string) error {
	err := retry(ctx, removeTimeout, func(error) {}, func() error {
		err := e.client.API.CoreV1().Secrets(namespace).Delete(ctx, name, metav1.DeleteOptions{})
		if apierrors.IsNotFound(err) {
			return nil
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("delete Secret %q: %w", name, err)
	}
	return nil
}
