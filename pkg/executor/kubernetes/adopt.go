package kubernetes

import (
	"context"
	"crypto/rand"
	"fmt"
	"time"

	"go.uber.org/zap"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/runnerd/runnerd/pkg/executor"
	"github.com/runnerd/runnerd/pkg/job"
)

// unknownPods stands for how many pods another process has made.
const unknownPods = -1

// The keys of a record. What Extend adds has moreKey before its name.
const (
	beginKey = "begin"
	moreKey  = "more-"
)

// Begin implements [executor.Recorder]. The record is a Secret of its own, which no
// pod mounts and no pod owns: it outlives the job's pod, whoever deletes that.
func (e *Executor) Begin(ctx context.Context, plan *job.Plan, data []byte) error {
	if e.isBlind() {
		return fmt.Errorf("%w: runnerd may not list Secrets", executor.ErrUnrecorded)
	}
	if len(data) > corev1.MaxSecretSize/2 { // room for what Extend adds
		return fmt.Errorf("%w: its record takes %d KiB compressed, at most %d are possible", executor.ErrUnrecorded, len(data)>>10, corev1.MaxSecretSize>>11)
	}
	term, err := e.id.Lease.Held(ctx)
	if err != nil {
		return err
	}
	record := e.secret(plan, recordName(e.id, plan), corev1.SecretTypeOpaque, map[string][]byte{beginKey: data})
	record.Immutable = nil
	record.Labels[labelRecord] = "true"
	record.Annotations = jobAnnotations(plan)
	record.Annotations[annotationSigned] = rand.Text()
	err = e.createSecret(ctx, record, func(err error) {
		e.log.Warn("create record: trying again", zap.Int64("job", plan.JobID), zap.Error(err))
	})
	if err == nil {
		e.recorded(plan.JobID, term)
	}
	return err
}

// Extend implements [executor.Recorder]. It tries until it worked, the cluster
// refuses, or ctx ends.
func (e *Executor) Extend(ctx context.Context, plan *job.Plan, name string, data []byte) error {
	return e.patchRecord(ctx, plan, change{"add", "/data/" + pointer(moreKey+name), data})
}

// started notes that the job's pod has been made and let through, and makes it the
// owner of the Secrets that it uses.
func (e *Executor) started(ctx context.Context, plan *job.Plan, pod *corev1.Pod) {
	err := e.patchRecord(ctx, plan, change{"add", "/metadata/annotations/" + pointer(annotationStarted), pod.Name})
	if err != nil && ctx.Err() == nil && !apierrors.IsNotFound(err) {
		e.log.Warn("record does not know of its pod", zap.Int64("job", plan.JobID), zap.Error(err))
	}
	e.ownSecrets(ctx, plan, pod)
}

// patchRecord changes a job's record as long as it is this manager's. ErrDetached
// says that another one has adopted the job.
func (e *Executor) patchRecord(ctx context.Context, plan *job.Plan, c change) error {
	namespace, name := e.namespace(plan), recordName(e.id, plan)
	err := retry(ctx, 0, func(err error) {
		e.log.Warn("write record: trying again", zap.Int64("job", plan.JobID), zap.String("record", name), zap.Error(err))
	}, func() error {
		return e.patchSecret(ctx, namespace, name, e.isManager(e.id.SystemID), c)
	})
	if apierrors.IsInvalid(err) {
		if err := e.checkOwner(ctx, plan); err != nil {
			return err
		}
	}
	return ctxOr(ctx, err, func() error { return fmt.Errorf("write record %q: %w", name, err) })
}

// catchUp brings a job to where the process before has left it. The last pod that
// this has given up may still be there. A cluster that does not answer is waited for,
// as long as the job has time: its pod goes on meanwhile.
func (e *Executor) catchUp(ctx context.Context, plan *job.Plan, r *rerun, adopted *executor.Adoption) error {
	if err := retry(ctx, 0, func(error) {}, func() error { return e.relabel(ctx, e.namespace(plan), plan.JobID) }); err != nil {
		return ctxOr(ctx, err, func() error { return refusal("adopt the job's pod", err) })
	}
	for _, what := range adopted.Earlier {
		if !r.again(what) {
			return job.Failf(job.RunnerSystemFailure, "the job was to begin anew for %s, and this runner's config does not let it", what)
		}
	}
	if r.pods == 0 || adopted.Started == podName(e.id, plan, r.pods) {
		return nil
	}
	return e.clear(ctx, plan, r.pods-1)
}

// find makes sure that an adopted job's pod is there. A job whose pod is gone has
// run, at least in part, and is not run again.
func (a *attempt) find(ctx context.Context) error {
	gone := false
	err := retry(ctx, 0, a.slow("find pod"), func() error {
		_, err := a.e.client.API.CoreV1().Pods(a.view.namespace).Get(ctx, a.pod, metav1.GetOptions{})
		gone = apierrors.IsNotFound(err)
		if gone {
			return nil
		}
		return err
	})
	if gone && ctx.Err() == nil {
		return job.Failf(job.RunnerSystemFailure, "pod %s is gone: it was deleted while no runnerd was there to see it", a.pod)
	}
	return ctxOr(ctx, err, func() error { return refusal(fmt.Sprintf("find pod %q", a.pod), err) })
}

// repeating reports whether an adopted job's log is still being read again. The
// pod's status may say that the job has failed; but the log comes first.
func (a *attempt) repeating(now time.Time) bool {
	if a.adopted == nil || a.adopted.Repeating == nil || !a.adopted.Repeating() {
		return false
	}
	if seq := a.relay.NextSeq(); a.repeatSince.IsZero() || seq != a.repeatHeard {
		a.repeatSince, a.repeatHeard = now, seq
	}
	return now.Sub(a.repeatSince) < repeatPatience
}

func (e *Executor) blindfold() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.blind = true
}

func (e *Executor) isBlind() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.blind
}
