package kubernetes

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/runnerd/runnerd/pkg/job"
)

// createSecrets creates the job's Secrets and its record, all at once: the pod has
// to wait for them.
func (e *Executor) createSecrets(ctx context.Context, plan *job.Plan, note func(error), record func(context.Context) error) error {
	planned, err := e.planSecret(plan)
	if err != nil {
		return err
	}
	pull, err := e.pullSecret(plan)
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	if record != nil {
		group.Go(func() error { return record(ctx) })
	}
	for _, secret := range []*corev1.Secret{planned, pull} {
		if secret == nil {
			continue
		}
		group.Go(func() error { return e.createSecret(ctx, secret, note) })
	}
	return group.Wait()
}

func (e *Executor) createSecret(ctx context.Context, secret *corev1.Secret, note func(error)) error {
	err := retry(ctx, e.cfg.PollTimeout, note, func() error {
		_, err := e.client.API.CoreV1().Secrets(secret.Namespace).Create(ctx, secret, metav1.CreateOptions{})
		if apierrors.IsAlreadyExists(err) {
			return nil // of an earlier try whose answer got lost
		}
		return err
	})
	return ctxOr(ctx, err, func() error { return unplaced(err, refusal(fmt.Sprintf("create Secret %q", secret.Name), err)) })
}

// createPod creates the pod, or finds the one that an earlier try has created.
func (e *Executor) createPod(ctx context.Context, pod *corev1.Pod, note func(error)) (*corev1.Pod, error) {
	var created *corev1.Pod
	pods := e.client.API.CoreV1().Pods(pod.Namespace)
	err := retry(ctx, e.cfg.PollTimeout, note, func() error {
		var err error
		created, err = pods.Create(ctx, pod, metav1.CreateOptions{})
		if !apierrors.IsAlreadyExists(err) {
			return err
		}
		created, err = pods.Get(ctx, pod.Name, metav1.GetOptions{})
		switch {
		case apierrors.IsNotFound(err):
			return errBeingDeleted
		case err != nil:
			return err
		case created.DeletionTimestamp != nil:
			return errBeingDeleted
		case created.Labels[labelJob] != pod.Labels[labelJob]:
			return job.Failf(job.RunnerSystemFailure, "create pod %q: another job has one of that name", pod.Name)
		case created.Labels[labelManager] != pod.Labels[labelManager]:
			// Of a manager that was taken for dead, just before it knew.
			return e.relabel(ctx, created.Namespace, jobOf(created.Labels))
		}
		return nil
	})
	return created, ctxOr(ctx, err, func() error { return unplaced(err, refusal(fmt.Sprintf("create pod %q", pod.Name), err)) })
}

// ctxOr returns nil for nil, the cause of an ended ctx, or else other().
func ctxOr(ctx context.Context, err error, other func() error) error {
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return context.Cause(ctx)
	}
	return other()
}

// ownSecrets makes the pod the owner of the job's Secrets, so that they go when
// it goes, whoever deletes it. It is not on the job's way: Remove deletes them too.
func (e *Executor) ownSecrets(ctx context.Context, plan *job.Plan, pod *corev1.Pod) {
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"ownerReferences": []metav1.OwnerReference{
		{APIVersion: "v1", Kind: "Pod", Name: pod.Name, UID: pod.UID},
	}}})
	if err != nil {
		e.log.Error("owner of the job's Secrets", zap.Int64("job", plan.JobID), zap.Error(err))
		return
	}
	for _, name := range e.secretNames(plan) {
		err := retry(ctx, time.Minute, func(error) {}, func() error {
			_, err := e.client.API.CoreV1().Secrets(pod.Namespace).Patch(ctx, name, types.StrategicMergePatchType, patch, metav1.PatchOptions{})
			return err
		})
		if err != nil && ctx.Err() == nil {
			e.log.Warn("Secret is not owned by its pod; it stays until runnerd deletes it", zap.Int64("job", plan.JobID), zap.String("secret", name), zap.Error(err))
		}
	}
}

func (e *Executor) secretNames(plan *job.Plan) []string {
	names := []string{secretName(e.id, plan)}
	if len(plan.Credentials) > 0 && !e.cfg.UseServiceAccountImagePullSecrets {
		names = append(names, pullSecretName(e.id, plan))
	}
	return names
}
