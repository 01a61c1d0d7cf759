package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Sweep deletes the pods and Secrets of this runner entry that no job of this
// process claims, in all its namespaces: what an earlier process left behind. It
// returns how many pods it deleted, and goes on after an error.
//
// Secrets of a process that died before it created the pod are found only where
// runnerd may list Secrets; it needs that for nothing else.
func (e *Executor) Sweep(ctx context.Context) (pods int, err error) {
	var problems []error
	for _, namespace := range e.cfg.namespaces {
		n, err := e.sweepPods(ctx, namespace)
		pods += n
		problems = append(problems, err, e.sweepSecrets(ctx, namespace))
	}
	return pods, errors.Join(problems...)
}

func (e *Executor) sweepPods(ctx context.Context, namespace string) (deleted int, err error) {
	found, err := e.client.API.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{LabelSelector: selector(e.id)})
	if err != nil {
		return 0, fmt.Errorf("sweep: list pods of namespace %q: %w", namespace, err)
	}
	var problems []error
	for i := range found.Items {
		pod := &found.Items[i]
		if e.isClaimed(jobOf(pod.Labels)) || pod.DeletionTimestamp != nil || time.Now().Before(keptUntil(pod)) {
			continue
		}
		if err := e.deletePod(ctx, namespace, pod.Name, seconds(e.cfg.CleanupGracePeriod)); err != nil {
			problems = append(problems, fmt.Errorf("sweep: %w", err))
			continue
		}
		deleted++
	}
	return deleted, errors.Join(problems...)
}

func (e *Executor) sweepSecrets(ctx context.Context, namespace string) error {
	found, err := e.client.API.CoreV1().Secrets(namespace).List(ctx, metav1.ListOptions{LabelSelector: selector(e.id)})
	if apierrors.IsForbidden(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("sweep: list Secrets of namespace %q: %w", namespace, err)
	}
	var problems []error
	for i := range found.Items {
		if e.isClaimed(jobOf(found.Items[i].Labels)) {
			continue
		}
		if err := e.deleteSecret(ctx, namespace, found.Items[i].Name); err != nil {
			problems = append(problems, fmt.Errorf("sweep: %w", err))
		}
	}
	return errors.Join(problems...)
}
