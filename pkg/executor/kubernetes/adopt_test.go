package kubernetes_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap/zaptest"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	clienttest "k8s.io/client-go/testing"

	"github.com/runnerd/runnerd/pkg/executor"
	"github.com/runnerd/runnerd/pkg/executor/kubernetes"
	"github.com/runnerd/runnerd/pkg/job"
)

// TestRecordOutlivesThePod: a job's record outlives its pod, is added to, is found by the next
// process, and goes first.
func TestRecordOutlivesThePod(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t)
		keeper, err := kubernetes.New(kubernetes.Client{API: c, Logs: c}, identity(), kubernetes.Config{Namespace: namespace, HelperImage: "helper"}, zaptest.NewLogger(t))
		if err != nil {
			t.Fatal(err)
		}
		r := start(t, c, kubernetes.Config{}, simplePlan(), func(task *executor.Task) {
			task.Recorded = func(ctx context.Context) error { return keeper.Begin(ctx, task.Plan, []byte("begin")) }
		})
		log := r.start()
		for range 2 { // as when an answer was lost
			if err := r.executor.Extend(t.Context(), r.task.Plan, "000000", []byte("more")); err != nil {
				t.Fatal(err)
			}
		}
		next, err := kubernetes.New(kubernetes.Client{API: c, Logs: c}, identity(), kubernetes.Config{Namespace: namespace, HelperImage: "helper"}, zaptest.NewLogger(t))
		if err != nil {
			t.Fatal(err)
		}
		records, err := next.Records(t.Context(), true)
		if err != nil {
			t.Fatal(err)
		}
		want := []executor.Record{{JobID: 4711, Begin: []byte("begin"), More: map[string][]byte{"000000": []byte("more")}, Started: r.pod().Name}}
		if diff := cmp.Diff(want, records); diff != "" {
			t.Errorf("records (-want +got):\n%s", diff)
		}
		secrets, err := r.CoreV1().Secrets(namespace).List(t.Context(), metav1.ListOptions{LabelSelector: "runnerd.io/record"})
		if err != nil || len(secrets.Items) != 1 || len(secrets.Items[0].OwnerReferences) != 0 {
			t.Fatalf("records in the cluster: %v, %v", secrets, err)
		}
		for _, v := range r.pod().Spec.Volumes {
			if v.Secret != nil && v.Secret.SecretName == secrets.Items[0].Name {
				t.Error("the pod mounts the record")
			}
		}
		log.result(job.Outcome{State: job.Success})
		r.wait()
		first := ""
		r.PrependReactor("delete", "*", func(a clienttest.Action) (bool, runtime.Object, error) {
			if first == "" {
				first = a.(clienttest.DeleteAction).GetName()
			}
			return false, nil, nil
		})
		if err := r.executor.Remove(t.Context(), r.task); err != nil {
			t.Fatal(err)
		}
		if first != secrets.Items[0].Name {
			t.Errorf("%q is deleted first, want the record", first)
		}
	})
}

// TestAdoptedPod: another process goes on with a pod, and makes nothing anew.
func TestAdoptedPod(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t)
		r := start(t, c, kubernetes.Config{}, simplePlan())
		log := r.start()
		log.write("hello\n")
		pod := r.pod()
		r.cancel(executor.ErrDetached)
		r.wait()
		if !errors.Is(r.err, executor.ErrDetached) {
			t.Fatalf("Run = %v", r.err)
		}
		next := start(t, c, kubernetes.Config{}, simplePlan(), func(task *executor.Task) {
			task.Adopted = &executor.Adoption{Started: pod.Name}
			task.Admit = func([]executor.Container) error { return errors.New("judged again") }
		})
		log.write("world\n")
		log.result(job.Outcome{State: job.Success})
		next.wait()
		if next.err != nil || next.log.String() != "hello\nworld\n" || next.notes.String() != "" {
			t.Errorf("Run = %v, log %q, notes %q", next.err, next.log, next.notes)
		}
	})
}

// TestAdoptionOutlastsTheCluster: a job goes on behind an API server that answers
// nothing for ten minutes just when the job is adopted.
func TestAdoptionOutlastsTheCluster(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t)
		r := start(t, c, kubernetes.Config{}, simplePlan())
		log := r.start()
		pod := r.pod()
		r.cancel(executor.ErrDetached)
		r.wait()
		for verb, resource := range map[string]string{"list": "secrets", "get": "pods"} {
			var since time.Time
			c.PrependReactor(verb, resource, func(clienttest.Action) (bool, runtime.Object, error) {
				if since.IsZero() {
					since = time.Now()
				}
				return time.Since(since) < 10*time.Minute, nil, apierrors.NewTimeoutError("it did not complete in the time allotted", 0)
			})
		}
		next := start(t, c, kubernetes.Config{}, simplePlan(), func(task *executor.Task) { task.Adopted = &executor.Adoption{Started: pod.Name} })
		log.write("hello\n")
		log.result(job.Outcome{State: job.Success})
		next.wait()
		if next.err != nil || next.log.String() != "hello\n" {
			t.Errorf("Run = %v, log %q", next.err, next.log)
		}
	})
}

// TestAdoptedPodIsGone: a pod that is gone is not made again.
func TestAdoptedPodIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		plan := simplePlan()
		c := newCluster(t)
		r := start(t, c, kubernetes.Config{}, plan)
		r.start()
		name := r.pod().Name
		r.cancel(executor.ErrDetached)
		r.wait()
		if err := c.CoreV1().Pods(namespace).Delete(t.Context(), name, metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		next := start(t, c, kubernetes.Config{}, simplePlan(), func(task *executor.Task) { task.Adopted = &executor.Adoption{Started: name} })
		next.wait()
		var failure *job.Failure
		if !errors.As(next.err, &failure) || failure.Reason != job.RunnerSystemFailure || !strings.Contains(failure.Message, "is gone") {
			t.Errorf("Run = %v", next.err)
		}
		if names := next.pods(); len(names) > 0 {
			t.Errorf("pods %q", names)
		}
	})
}

// TestUnlistedRecords: where records cannot be listed, none are made.
func TestUnlistedRecords(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t)
		r := start(t, c, kubernetes.Config{}, simplePlan())
		c.PrependReactor("list", "secrets", func(clienttest.Action) (bool, runtime.Object, error) {
			return true, nil, &apierrors.StatusError{ErrStatus: metav1.Status{Code: http.StatusForbidden, Reason: metav1.StatusReasonForbidden}}
		})
		if _, err := r.executor.Records(t.Context(), true); !errors.Is(err, executor.ErrUnrecorded) {
			t.Errorf("Records: %v", err)
		}
		if err := r.executor.Begin(t.Context(), simplePlan(), nil); !errors.Is(err, executor.ErrUnrecorded) {
			t.Errorf("Begin: %v", err)
		}
		r.cancel(nil)
		r.wait()
	})
}

// TestAdoptedJobThatCannotRun: the config has changed, and does not allow the job
// any more. Its pod goes with it.
func TestAdoptedJobThatCannotRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t)
		plan := simplePlan()
		plan.Image.PullPolicies = []string{"if-not-present"}
		r := start(t, c, kubernetes.Config{}, plan)
		r.start()
		name := r.pod().Name
		r.cancel(executor.ErrDetached)
		r.wait()
		next := start(t, c, kubernetes.Config{PullPolicies: []string{"always"}}, plan, func(task *executor.Task) { task.Adopted = &executor.Adoption{Started: name} })
		next.wait()
		if next.err == nil || !strings.Contains(next.err.Error(), "not allowed here") {
			t.Errorf("Run = %v", next.err)
		}
		if err := next.executor.Remove(t.Context(), next.task); err != nil || len(next.pods()) > 0 {
			t.Errorf("Remove: %v, pods %q", err, next.pods())
		}
	})
}

// TestAdoptedWhileItBeganAnew: the process before had given up a pod and not
// deleted it yet. The Secrets must not go with that pod.
func TestAdoptedWhileItBeganAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t)
		c.PrependReactor("create", "pods", func(action clienttest.Action) (bool, runtime.Object, error) {
			if pod, ok := action.(clienttest.CreateAction).GetObject().(*corev1.Pod); ok {
				pod.UID = types.UID(pod.Name) // by which owners are told apart
			}
			return false, nil, nil
		})
		cfg := kubernetes.Config{PullPolicies: []string{"always", "if-not-present"}}
		r := start(t, c, cfg, simplePlan(), func(task *executor.Task) {
			task.Again = func(context.Context, string) error { return executor.ErrDetached }
		})
		first := r.pod().Name
		r.waiting("build", "ErrImagePull", "dial tcp: connection refused")
		r.wait()
		next := start(t, c, cfg, simplePlan(), func(task *executor.Task) {
			task.Adopted = &executor.Adoption{Started: first, Earlier: []string{"build"}}
		})
		if second := next.pod().Name; second == first {
			t.Fatalf("pod %s is still there", first)
		}
		for _, owner := range next.secretsOwned() {
			if owner == first {
				t.Error("a Secret is owned by the pod that was given up")
			}
		}
		next.start().result(job.Outcome{State: job.Success})
		next.wait()
		if next.err != nil || next.outcome.State != job.Success {
			t.Errorf("Run = %+v, %v", next.outcome, next.err)
		}
	})
}

// TestTakeWithoutAnAnswer: a record whose take has failed, and may have been carried
// out, is found at the next look, although it may be this manager's by then.
func TestTakeWithoutAnAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t)
		open := func() *kubernetes.Executor {
			e, err := kubernetes.New(kubernetes.Client{API: c, Logs: c}, identity(), kubernetes.Config{Namespace: namespace, HelperImage: "helper"}, zaptest.NewLogger(t))
			if err != nil {
				t.Fatal(err)
			}
			return e
		}
		if err := open().Begin(t.Context(), simplePlan(), []byte("begin")); err != nil {
			t.Fatal(err)
		}
		lost := errors.New("connection reset by peer")
		c.PrependReactor("patch", "secrets", func(clienttest.Action) (bool, runtime.Object, error) {
			err := lost
			lost = nil
			return err != nil, nil, err
		})
		next := open()
		if records, err := next.Records(t.Context(), true); err == nil || len(records) != 0 {
			t.Fatalf("first look: %d records, error %v; want none and the error", len(records), err)
		}
		for look, want := range []int{1, 0} {
			records, err := next.Records(t.Context(), false)
			if err != nil || len(records) != want {
				t.Errorf("later look %d: %d records (%v), want %d", look, len(records), err, want)
			}
		}
	})
}
