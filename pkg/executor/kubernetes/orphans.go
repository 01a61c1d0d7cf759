package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// orphanLook is the time between two looks for orphans. One is removed at the second
// look that finds it: what is being made or removed right now is none.
const orphanLook = 20 * time.Second

// watchOrphans removes, until ctx ends, pods and Secrets that no live job claims:
// their manager is dead, or this process has failed to remove them, and there is no
// record by which their job could be adopted.
func (e *Executor) watchOrphans(ctx context.Context) error {
	look := time.NewTicker(orphanLook)
	defer look.Stop()
	before := map[types.UID]bool{}
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-look.C:
		}
		if !e.id.Lease.Holds() {
			continue
		}
		found := map[types.UID]bool{}
		for _, namespace := range e.cfg.namespaces {
			err := e.sweepOrphans(ctx, namespace, before, found)
			if err != nil && ctx.Err() == nil {
				e.log.Warn("orphans not looked for", zap.String("namespace", namespace), zap.Error(err))
			}
		}
		before = found
	}
}

// An orphan is an object without a live job, and how to delete it.
type orphan struct {
	kind   string
	object *metav1.ObjectMeta
	remove func(ctx context.Context) error
}

// sweepOrphans removes the orphans of a namespace that were found before, and adds
// all to found.
func (e *Executor) sweepOrphans(ctx context.Context, namespace string, before, found map[types.UID]bool) error {
	suspects, err := e.suspects(ctx, namespace)
	if err != nil || len(suspects) == 0 {
		return err
	}
	// After the objects: the record is made first, and deleted first.
	records, err := e.recordedJobs(ctx, namespace)
	if err != nil {
		return err
	}
	var problems []error
	for _, o := range suspects {
		if job := jobOf(o.object.Labels); records[job] || e.isClaimed(job) {
			continue
		}
		found[o.object.UID] = true
		if !before[o.object.UID] {
			continue
		}
		e.log.Info("removing an orphan", zap.String("kind", o.kind), zap.String("name", o.object.Name),
			zap.Int64("job", jobOf(o.object.Labels)), zap.String("manager", o.object.Labels[labelManager]))
		problems = append(problems, o.remove(ctx))
	}
	return errors.Join(problems...)
}

// suspects are the objects of this runner that this process does not work with, and
// whose manager is this one, or dead.
func (e *Executor) suspects(ctx context.Context, namespace string) ([]orphan, error) {
	var list []orphan
	pods, err := e.client.API.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{LabelSelector: sharedSelector(e.id)})
	if err != nil {
		return nil, fmt.Errorf("list pods: %w", err)
	}
	for i := range pods.Items {
		pod := &pods.Items[i]
		if pod.DeletionTimestamp == nil && !time.Now().Before(keptUntil(pod)) && e.isDeserted(&pod.ObjectMeta) {
			list = append(list, orphan{"Pod", &pod.ObjectMeta, func(ctx context.Context) error {
				return e.deletePod(ctx, namespace, pod.Name, seconds(e.cfg.CleanupGracePeriod))
			}})
		}
	}
	secrets, err := e.client.API.CoreV1().Secrets(namespace).List(ctx, metav1.ListOptions{LabelSelector: sharedSelector(e.id) + ",!" + labelRecord})
	if err != nil && !apierrors.IsForbidden(err) {
		return nil, fmt.Errorf("list Secrets: %w", err)
	}
	for i := range secretsOf(secrets) {
		secret := &secrets.Items[i]
		if e.isDeserted(&secret.ObjectMeta) {
			list = append(list, orphan{"Secret", &secret.ObjectMeta, func(ctx context.Context) error {
				return e.deleteSecret(ctx, namespace, secret.Name)
			}})
		}
	}
	return list, nil
}

func secretsOf(list *corev1.SecretList) []corev1.Secret {
	if list == nil {
		return nil
	}
	return list.Items
}

func (e *Executor) isDeserted(o *metav1.ObjectMeta) bool {
	manager := o.Labels[labelManager]
	return !e.isClaimed(jobOf(o.Labels)) && (manager == labelValue(e.id.SystemID) || e.id.Lease.Dead(manager))
}

// recordedJobs are the jobs of this runner that can be adopted.
func (e *Executor) recordedJobs(ctx context.Context, namespace string) (map[int64]bool, error) {
	jobs := map[int64]bool{}
	records, err := e.client.API.CoreV1().Secrets(namespace).List(ctx, metav1.ListOptions{LabelSelector: sharedSelector(e.id) + "," + labelRecord})
	if apierrors.IsForbidden(err) {
		return jobs, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list records: %w", err)
	}
	for i := range records.Items {
		jobs[jobOf(records.Items[i].Labels)] = true
	}
	return jobs, nil
}
