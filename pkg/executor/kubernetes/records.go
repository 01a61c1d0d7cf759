package kubernetes

import (
	"context"
	"fmt"
	"strings"

	"go.uber.org/zap"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/runnerd/runnerd/pkg/executor"
)

// Records implements [executor.Recorder]. Where runnerd may not list Secrets there
// are none, and Begin makes none.
func (e *Executor) Records(ctx context.Context, earlier bool) ([]executor.Record, error) {
	term, err := e.id.Lease.Held(ctx)
	if err != nil {
		return nil, err
	}
	managers := e.id.Lease.DeadOnes()
	if earlier || e.inDoubt() {
		managers = append(managers, labelValue(e.id.SystemID))
	}
	if len(managers) == 0 {
		return nil, nil
	}
	query := metav1.ListOptions{LabelSelector: fmt.Sprintf("%s,%s,%s in (%s)", sharedSelector(e.id), labelRecord, labelManager, strings.Join(managers, ","))}
	var records []executor.Record
	for _, namespace := range e.cfg.namespaces {
		found, err := e.client.API.CoreV1().Secrets(namespace).List(ctx, query)
		if apierrors.IsForbidden(err) && earlier { // later it is an API server that has just started
			e.blindfold()
			return nil, fmt.Errorf("%w: list Secrets of namespace %q: %w", executor.ErrUnrecorded, namespace, err)
		}
		if err != nil {
			return records, fmt.Errorf("list Secrets of namespace %q: %w", namespace, err)
		}
		for i := range found.Items {
			record := recordOf(&found.Items[i])
			// The Lease is looked at behind the record: its manager may be back. When it
			// comes back after that, it signs the record, and the take fails.
			manager := found.Items[i].Labels[labelManager]
			if e.isClaimed(record.JobID) || manager != labelValue(e.id.SystemID) && !e.id.Lease.StillDead(ctx, manager) {
				continue
			}
			taken, err := e.takeRecord(ctx, &found.Items[i])
			if err != nil {
				e.setDoubt(true)
				return records, fmt.Errorf("take record %q over: %w", found.Items[i].Name, err)
			}
			if !taken {
				continue
			}
			e.claim(record.JobID, unknownPods)
			e.recorded(record.JobID, term)
			records = append(records, record)
			// So that it is seen from now on; what fails is tried again when it is run.
			if err := e.relabel(ctx, namespace, record.JobID); err != nil {
				e.log.Debug("adopted job's pod not relabeled yet", zap.Int64("job", record.JobID), zap.Error(err))
			}
		}
	}
	e.setDoubt(false)
	return records, nil
}

// setDoubt says whether the next look has to include this manager's own records.
func (e *Executor) setDoubt(doubt bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.doubt = doubt
}

func (e *Executor) inDoubt() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.doubt
}

func recordOf(secret *corev1.Secret) executor.Record {
	r := executor.Record{
		JobID: jobOf(secret.Labels), Begin: secret.Data[beginKey], More: map[string][]byte{},
		Started: secret.Annotations[annotationStarted],
	}
	for key, data := range secret.Data {
		if name, ok := strings.CutPrefix(key, moreKey); ok {
			r.More[name] = data
		}
	}
	return r
}
