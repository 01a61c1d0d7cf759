package kubernetes

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"go.uber.org/zap"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// annotate sets an annotation of a pod, which its helper sees as a file. It
// tries until it worked, the pod is gone, or ctx ends.
func (e *Executor) annotate(ctx context.Context, jobID int64, namespace, pod, key, value string) error {
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"annotations": map[string]string{key: value}}})
	if err != nil {
		return fmt.Errorf("annotate pod %q: %w", pod, err)
	}
	log := e.log.With(zap.Int64("job", jobID), zap.String("pod", pod), zap.String("annotation", key))
	err = retry(ctx, 0, func(err error) { log.Warn("annotate pod; trying again", zap.Error(err)) }, func() error {
		_, err := e.client.API.CoreV1().Pods(namespace).Patch(ctx, pod, types.MergePatchType, patch, metav1.PatchOptions{})
		return err
	})
	if apierrors.IsNotFound(err) {
		return nil
	}
	return ctxOr(ctx, err, func() error { return refusal(fmt.Sprintf("annotate pod %q", pod), err) })
}

// resender returns a function that asks a pod's helper to write all frames from
// seq on again. Only a change of the annotation is a request, so that one that was
// made before, by an earlier process even, gets a leading zero more.
func (e *Executor) resender(jobID int64, view *podView) func(ctx context.Context, seq int64) error {
	asked := map[int64]int{}
	return func(ctx context.Context, seq int64) error {
		text := strings.Repeat("0", asked[seq]) + fmt.Sprint(seq)
		if state, _ := view.get(); state.pod != nil && state.pod.Annotations[annotationResend] == text {
			asked[seq]++
			text = "0" + text
		}
		asked[seq]++
		return e.annotate(ctx, jobID, view.namespace, view.name, annotationResend, text)
	}
}

// deletePod asks for a pod's deletion; it is fine when there is none. grace is
// in seconds, nil for the pod's own.
func (e *Executor) deletePod(ctx context.Context, namespace, pod string, grace *int64) error {
	err := retry(ctx, removeTimeout, func(error) {}, func() error {
		return e.client.API.CoreV1().Pods(namespace).Delete(ctx, pod, metav1.DeleteOptions{GracePeriodSeconds: grace})
	})
	if apierrors.IsNotFound(err) {
		return nil
	}
	return ctxOr(ctx, err, func() error { return fmt.Errorf("delete pod %q: %w", pod, err) })
}
