package kubernetes

import (
	"context"
	"errors"
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
	var group errgroup.Group
	for n := range e.podCount(task.Plan) {
		group.Go(func() error { return e.removePod(ctx, podName(e.id, task.Plan, n)) })
	}
	for _, name := range e.secretNames(task.Plan) {
		group.Go(func() error { return e.deleteSecret(ctx, name) })
	}
	if err := group.Wait(); err != nil {
		return err
	}
	e.release(task.Plan.JobID)
	return nil
}

// podCount is the most pods that Run can have made for plan.
func (e *Executor) podCount(plan *job.Plan) int {
	policies, err := e.policies(plan)
	if err != nil {
		return 1
	}
	return policies.attempts()
}

func (e *Executor) removePod(ctx context.Context, name string) error {
	view := e.pods.view(e.cfg.Namespace, name)
	defer e.pods.drop(view)
	if err := e.deletePod(ctx, name, seconds(e.cfg.CleanupGracePeriod)); err != nil {
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
			_, err := e.client.API.CoreV1().Pods(e.cfg.Namespace).Get(ctx, name, metav1.GetOptions{})
			if apierrors.IsNotFound(err) {
				return nil
			}
			ask.Reset(goneRetry)
		}
	}
}

func (e *Executor) deleteSecret(ctx context.Context, name string) error {
	err := retry(ctx, removeTimeout, func(error) {}, func() error {
		err := e.client.API.CoreV1().Secrets(e.cfg.Namespace).Delete(ctx, name, metav1.DeleteOptions{})
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

// Sweep deletes the pods and Secrets of this runner entry that no job of this
// process claims: what an earlier process left behind. It returns how many pods
// it deleted, and goes on after an error.
//
// Secrets of a process that died before it created the pod are found only where
// runnerd may list Secrets; it needs that for nothing else.
func (e *Executor) Sweep(ctx context.Context) (pods int, err error) {
	list := metav1.ListOptions{LabelSelector: selector(e.id)}
	found, err := e.client.API.CoreV1().Pods(e.cfg.Namespace).List(ctx, list)
	if err != nil {
		return 0, fmt.Errorf("sweep: list pods: %w", err)
	}
	var problems []error
	for i := range found.Items {
		pod := &found.Items[i]
		if e.isClaimed(jobOf(pod.Labels)) || pod.DeletionTimestamp != nil {
			continue
		}
		if err := e.deletePod(ctx, pod.Name, seconds(e.cfg.CleanupGracePeriod)); err != nil {
			problems = append(problems, fmt.Errorf("sweep: %w", err))
			continue
		}
		pods++
	}
	secrets, err := e.client.API.CoreV1().Secrets(e.cfg.Namespace).List(ctx, list)
	if apierrors.IsForbidden(err) {
		return pods, errors.Join(problems...)
	}
	if err != nil {
		return pods, errors.Join(append(problems, fmt.Errorf("sweep: list Secrets: %w", err))...)
	}
	for i := range secrets.Items {
		if e.isClaimed(jobOf(secrets.Items[i].Labels)) {
			continue
		}
		if err := e.deleteSecret(ctx, secrets.Items[i].Name); err != nil {
			problems = append(problems, fmt.Errorf("sweep: %w", err))
		}
	}
	return pods, errors.Join(problems...)
}
