package kubernetes_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	clienttest "k8s.io/client-go/testing"

	"github.com/runnerd/runnerd/pkg/executor"
	"github.com/runnerd/runnerd/pkg/executor/kubernetes"
	"github.com/runnerd/runnerd/pkg/job"
)

// TestHeldPodBeginsWhenItsPlaceIsConfirmed: not when it is placed.
func TestHeldPodBeginsWhenItsPlaceIsConfirmed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		plan := simplePlan()
		plan.Helper.Held = true
		placed, confirmed := make(chan struct{}), make(chan struct{})
		r := start(t, newCluster(t), kubernetes.Config{}, plan, func(task *executor.Task) {
			task.Placed = func(ctx context.Context) error {
				close(placed)
				select {
				case <-confirmed:
				case <-ctx.Done():
				}
				return ctx.Err()
			}
		})
		files := 0
		for _, v := range r.pod().Spec.Volumes {
			if v.DownwardAPI != nil {
				files = len(v.DownwardAPI.Items)
			}
		}
		if files != 3 {
			t.Errorf("the helper sees %d files, want signal, resend and go", files)
		}
		r.update(unschedulable)
		time.Sleep(time.Minute)
		select {
		case <-placed:
			t.Fatal("the pod counts as placed before it has a node")
		default:
		}
		r.update(func(p *corev1.Pod) { p.Spec.NodeName = "node-1" })
		<-placed
		synctest.Wait()
		if r.pod().Annotations["runnerd.io/go"] != "" {
			t.Error("the pod may begin before that is confirmed")
		}
		close(confirmed)
		synctest.Wait()
		if r.pod().Annotations["runnerd.io/go"] == "" {
			t.Error("the pod may not begin although that is confirmed")
		}
		r.start().result(job.Outcome{State: job.Success})
		r.wait()
		if r.err != nil {
			t.Error(r.err)
		}
	})
}

// TestHeldPodDoesNotBeginUnconfirmed: GitLab has given the job to another.
func TestHeldPodDoesNotBeginUnconfirmed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		plan := simplePlan()
		plan.Helper.Held = true
		r := start(t, newCluster(t), kubernetes.Config{}, plan, func(task *executor.Task) {
			task.Placed = func(context.Context) error { return errors.New("over") }
		})
		r.update(func(p *corev1.Pod) { p.Spec.NodeName = "node-1" })
		time.Sleep(time.Minute)
		synctest.Wait()
		if r.pod().Annotations["runnerd.io/go"] != "" {
			t.Error("the pod may begin")
		}
	})
}

// TestJobThatFindsNoPlace: what it lacked is told apart from what went wrong.
func TestJobThatFindsNoPlace(t *testing.T) {
	unplaced := func(t *testing.T, err error, want string) {
		t.Helper()
		var place *executor.UnplacedError
		var failure *job.Failure
		if !errors.As(err, &place) || place.For != want || !errors.As(err, &failure) || failure.Reason != job.RunnerSystemFailure {
			t.Errorf("Run: %v, want a failure for lack of %s", err, want)
		}
	}
	t.Run("node", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			r := start(t, newCluster(t), kubernetes.Config{}, simplePlan())
			r.update(unschedulable)
			r.wait()
			unplaced(t, r.err, executor.FullUnschedulable)
		})
	})
	t.Run("quota", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c := newCluster(t)
			c.PrependReactor("create", "pods", func(clienttest.Action) (bool, runtime.Object, error) {
				return true, nil, apierrors.NewForbidden(schema.GroupResource{Resource: "pods"}, "p", errors.New("exceeded quota: q"))
			})
			r := start(t, c, kubernetes.Config{}, simplePlan())
			r.wait()
			unplaced(t, r.err, executor.FullQuota)
		})
	})
	t.Run("neither", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			r := start(t, newCluster(t), kubernetes.Config{}, simplePlan())
			r.update(func(p *corev1.Pod) { p.Spec.NodeName = "node-1" })
			r.wait()
			if errors.As(r.err, new(*executor.UnplacedError)) {
				t.Errorf("Run: %v, want a failure of a pod that had a node", r.err)
			}
		})
	})
}
