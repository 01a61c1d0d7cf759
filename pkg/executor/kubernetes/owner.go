package kubernetes

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"go.uber.org/zap"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/runnerd/runnerd/pkg/executor"
	"github.com/runnerd/runnerd/pkg/job"
)

// A job belongs to the manager that its record names. Only one manager can have
// put its name there, and only that one can add to the record. So a manager that
// was taken for dead, and does not know it yet, writes nothing into a job's log that
// the next one would not write as well.

// A change is one operation of a JSON patch (RFC 6902).
type change struct {
	Op    string `json:"op"`
	Path  string `json:"path"`
	Value any    `json:"value"`
}

// pointer escapes a name for the path of a change.
func pointer(name string) string { return strings.NewReplacer("~", "~0", "/", "~1").Replace(name) }

const managerPath = "/metadata/labels/runnerd.io~1manager"

// isManager makes a patch fail as invalid where another manager is named.
func (e *Executor) isManager(systemID string) change {
	return change{"test", managerPath, labelValue(systemID)}
}

func (e *Executor) becomeManager() change {
	return change{"replace", managerPath, labelValue(e.id.SystemID)}
}

func (e *Executor) patchSecret(ctx context.Context, namespace, name string, changes ...change) error {
	patch, err := json.Marshal(changes)
	if err != nil {
		return fmt.Errorf("patch: %w", err)
	}
	_, err = e.client.API.CoreV1().Secrets(namespace).Patch(ctx, name, types.JSONPatchType, patch, metav1.PatchOptions{})
	return err
}

// sign is the change by which a manager shows that a record is its own in a new term.
// Whoever has read the record before, and wants to take it, then fails.
func sign() change {
	return change{"add", "/metadata/annotations/" + pointer(annotationSigned), rand.Text()}
}

// Own implements [executor.Recorder].
func (e *Executor) Own(ctx context.Context, plan *job.Plan) (context.Context, context.CancelFunc, error) {
	term, err := e.id.Lease.Held(ctx)
	if err != nil {
		return nil, nil, err
	}
	if c, ok := e.claimOf(plan.JobID); !ok || c.term != term {
		err := e.patchRecord(ctx, plan, sign())
		if apierrors.IsNotFound(err) { // another one has ended the job
			e.release(plan.JobID)
			return nil, nil, fmt.Errorf("another runnerd had the job: %w", executor.ErrDetached)
		}
		if err != nil {
			return nil, nil, err
		}
		e.recorded(plan.JobID, term)
	}
	held, release := e.id.Lease.While(ctx)
	return held, release, nil
}

// checkOwner asks the cluster whether a job's record is this manager's.
// ErrDetached says that it is another one's, or that another one has ended the job.
func (e *Executor) checkOwner(ctx context.Context, plan *job.Plan) error {
	mine, name := false, recordName(e.id, plan)
	err := retry(ctx, 0, func(error) {}, func() error {
		record, err := e.client.API.CoreV1().Secrets(e.namespace(plan)).Get(ctx, name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return nil
		}
		mine = err == nil && record.Labels[labelManager] == labelValue(e.id.SystemID)
		return err
	})
	switch {
	case err != nil:
		return ctxOr(ctx, err, func() error { return fmt.Errorf("whose is record %q: %w", name, err) })
	case !mine:
		e.log.Warn("another runnerd has taken the job over", zap.Int64("job", plan.JobID))
		e.release(plan.JobID)
		return fmt.Errorf("another runnerd has the job: %w", executor.ErrDetached)
	}
	return nil
}

// takeRecord makes a record this manager's own, unless another one was faster, or
// the one that it belongs to has signed it meanwhile.
func (e *Executor) takeRecord(ctx context.Context, record *corev1.Secret) (taken bool, err error) {
	changes := []change{e.isManager(record.Labels[labelManager]), e.becomeManager()}
	if record.Annotations == nil { // of an earlier version
		changes = append(changes, change{"add", "/metadata/annotations", map[string]string{}})
	} else if signed := record.Annotations[annotationSigned]; signed != "" {
		changes = append(changes, change{"test", "/metadata/annotations/" + pointer(annotationSigned), signed})
	}
	err = e.patchSecret(ctx, record.Namespace, record.Name, append(changes, sign())...)
	if apierrors.IsInvalid(err) || apierrors.IsNotFound(err) {
		return false, nil
	}
	return err == nil, err
}

// relabel makes a job's pods and Secrets this manager's, whose record is that
// already. Only then its watch shows them.
func (e *Executor) relabel(ctx context.Context, namespace string, id int64) error {
	query := metav1.ListOptions{LabelSelector: fmt.Sprintf("%s,%s=%d,%s!=%s", sharedSelector(e.id), labelJob, id, labelManager, labelValue(e.id.SystemID))}
	patch, err := json.Marshal([]change{e.becomeManager()})
	if err != nil {
		return fmt.Errorf("patch: %w", err)
	}
	pods, err := e.client.API.CoreV1().Pods(namespace).List(ctx, query)
	if err != nil {
		return err
	}
	var problems []error
	for i := range pods.Items {
		_, err := e.client.API.CoreV1().Pods(namespace).Patch(ctx, pods.Items[i].Name, types.JSONPatchType, patch, metav1.PatchOptions{})
		problems = append(problems, ignoreGone(err))
	}
	secrets, err := e.client.API.CoreV1().Secrets(namespace).List(ctx, query)
	if err != nil {
		return errors.Join(append(problems, err)...)
	}
	for i := range secrets.Items {
		problems = append(problems, ignoreGone(e.patchSecret(ctx, namespace, secrets.Items[i].Name, e.becomeManager())))
	}
	return errors.Join(problems...)
}

func ignoreGone(err error) error {
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}
