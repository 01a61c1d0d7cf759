package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"go.uber.org/zap"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/runnerd/runnerd/pkg/executor"
)

// Keep marks the last pod of a failed job, so that it stays for KeepFailedPods;
// see [executor.Executor]. Its Secrets go with the job all the same.
func (e *Executor) Keep(ctx context.Context, task executor.Task) string {
	if e.cfg.KeepFailedPods <= 0 || e.checkNamespace(task.Plan) != nil {
		return ""
	}
	pod, err := e.lastPod(ctx, task)
	if err != nil {
		e.log.Warn("failed job's pod not kept", zap.Int64("job", task.Plan.JobID), zap.Error(err))
	}
	if pod == nil {
		return ""
	}
	until := time.Now().Add(e.cfg.KeepFailedPods).UTC().Truncate(time.Second)
	if err := e.annotate(ctx, task.Plan.JobID, pod.Namespace, pod.Name, annotationKeep, until.Format(time.RFC3339)); err != nil {
		e.log.Warn("failed job's pod not kept", zap.Int64("job", task.Plan.JobID), zap.String("pod", pod.Name), zap.Error(err))
		return ""
	}
	return fmt.Sprintf("The job's pod is kept until %s: kubectl -n %s exec -it %s -c %s -- sh",
		until.Format("2006-01-02 15:04:05 UTC"), pod.Namespace, pod.Name, containerBuild)
}

// lastPod returns the pod in which a job has failed; nil when it is gone.
func (e *Executor) lastPod(ctx context.Context, task executor.Task) (*corev1.Pod, error) {
	namespace := e.namespace(task.Plan)
	list, err := e.client.API.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{
		LabelSelector: selector(e.id) + fmt.Sprintf(",%s=%d", labelJob, task.Plan.JobID),
	})
	if err != nil {
		return nil, fmt.Errorf("list the job's pods: %w", err)
	}
	var last *corev1.Pod
	for i := range list.Items {
		if pod := &list.Items[i]; pod.DeletionTimestamp == nil && (last == nil || last.CreationTimestamp.Before(&pod.CreationTimestamp)) {
			last = pod
		}
	}
	return last, nil
}

// keptUntil is until when a pod stays; the zero time for one that is not kept.
func keptUntil(pod *corev1.Pod) time.Time {
	until, err := time.Parse(time.RFC3339, pod.Annotations[annotationKeep])
	if err != nil {
		return time.Time{}
	}
	return until
}

// watchKept deletes the pods whose time is over, and the oldest of too many,
// until ctx ends. Those that are left then are for the next process.
func (e *Executor) watchKept(ctx context.Context) error {
	if e.cfg.KeepFailedPods <= 0 {
		return nil
	}
	look := time.NewTicker(keepLook)
	defer look.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-look.C:
		}
		for _, namespace := range e.cfg.namespaces {
			if err := e.sweepKept(ctx, namespace); err != nil && ctx.Err() == nil {
				e.log.Warn("kept pods not looked after", zap.String("namespace", namespace), zap.Error(err))
			}
		}
	}
}

func (e *Executor) sweepKept(ctx context.Context, namespace string) error {
	list, err := e.client.API.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{LabelSelector: selector(e.id)})
	if err != nil {
		return fmt.Errorf("list pods: %w", err)
	}
	var kept []*corev1.Pod
	for i := range list.Items {
		pod := &list.Items[i]
		if !keptUntil(pod).IsZero() && pod.DeletionTimestamp == nil && !e.isClaimed(jobOf(pod.Labels)) {
			kept = append(kept, pod)
		}
	}
	slices.SortFunc(kept, func(a, b *corev1.Pod) int { return keptUntil(b).Compare(keptUntil(a)) }) // the newest first
	var problems []error
	for i, pod := range kept {
		if i < e.cfg.KeepFailedPodsMax && time.Now().Before(keptUntil(pod)) {
			continue
		}
		problems = append(problems, e.deletePod(ctx, namespace, pod.Name, seconds(e.cfg.CleanupGracePeriod)))
	}
	return errors.Join(problems...)
}
