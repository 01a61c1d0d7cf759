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
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	clienttest "k8s.io/client-go/testing"

	"github.com/runnerd/runnerd/pkg/executor"
	"github.com/runnerd/runnerd/pkg/executor/kubernetes"
	"github.com/runnerd/runnerd/pkg/job"
)

func simplePlan() *job.Plan {
	return &job.Plan{
		JobID: 4711, ProjectID: 42, ProjectPath: "retail/web/shop", JobName: "test", Timeout: time.Hour,
		Image:  job.Image{Name: "registry.example.com/ci/go:1.26"},
		Helper: job.HelperPlan{Version: job.PlanVersion, BuildsDir: "/builds", TempDir: "/builds/retail/web/shop.tmp"},
	}
}

func TestJobFromCreationToRemoval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		plan := simplePlan()
		plan.Credentials = []job.Credential{{URL: "registry.example.com", Username: "gitlab-ci-token", Password: "s3cret"}}
		r := start(t, newCluster(t), kubernetes.Config{}, plan)
		log := r.start()
		log.write("hello\n")
		log.write("world\n")
		log.result(job.Outcome{State: job.Failed, Reason: job.ScriptFailure, ExitCode: 3})
		r.wait()

		if diff := cmp.Diff(job.Outcome{State: job.Failed, Reason: job.ScriptFailure, ExitCode: 3}, r.outcome); r.err != nil || diff != "" {
			t.Errorf("Run: %v, outcome (-want +got):\n%s", r.err, diff)
		}
		if r.log.String() != "hello\nworld\n" {
			t.Errorf("log = %q", r.log.String())
		}
		want := "Using Kubernetes namespace: ci\nUsing Kubernetes executor with image registry.example.com/ci/go:1.26 ..."
		if r.notes.String() != want {
			t.Errorf("notes = %q, want %q", r.notes, want)
		}

		pod := r.pod()
		secrets, err := r.CoreV1().Secrets(namespace).List(t.Context(), metav1.ListOptions{})
		if err != nil || len(secrets.Items) != 2 {
			t.Fatalf("%d Secrets, %v, want two", len(secrets.Items), err)
		}
		for _, s := range secrets.Items {
			if len(s.OwnerReferences) != 1 || s.OwnerReferences[0].Name != pod.Name {
				t.Errorf("Secret %s is owned by %v, want the pod", s.Name, s.OwnerReferences)
			}
		}

		for range 2 {
			if err := r.executor.Remove(t.Context(), r.task); err != nil {
				t.Errorf("Remove: %v", err)
			}
		}
		secrets, err = r.CoreV1().Secrets(namespace).List(t.Context(), metav1.ListOptions{})
		if names := r.pods(); err != nil || len(names)+len(secrets.Items) > 0 {
			t.Errorf("after Remove: pods %q, %d Secrets, %v", names, len(secrets.Items), err)
		}
	})
}

func TestPodThatFindsNoNode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, newCluster(t), kubernetes.Config{PollTimeout: 5 * time.Minute}, simplePlan())
		r.update(func(p *corev1.Pod) {
			p.Status.Conditions = []corev1.PodCondition{{
				Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: "Unschedulable", Message: "0/3 nodes are available: 3 Insufficient cpu.",
			}}
		})
		took := r.wait()
		var failure *job.Failure
		if !errors.As(r.err, &failure) || failure.Reason != job.RunnerSystemFailure || !strings.Contains(failure.Message, "Insufficient cpu") {
			t.Errorf("Run = %v", r.err)
		}
		if took != 5*time.Minute {
			t.Errorf("took %v, want poll_timeout", took)
		}
		if !strings.Contains(r.notes.String(), "Waiting for a node: 0/3 nodes are available: 3 Insufficient cpu.") {
			t.Errorf("notes = %q", r.notes)
		}
	})
}

func TestClusterTroubleIsOnlyADelay(t *testing.T) {
	unavailable := apierrors.NewServiceUnavailable("apiserver is shutting down")
	quota := apierrors.NewForbidden(schema.GroupResource{Resource: "pods"}, "p", errors.New("exceeded quota: compute"))
	lost := errors.New("http2: server sent GOAWAY and closed the connection")
	for _, trouble := range []error{unavailable, quota, lost} {
		t.Run(trouble.Error(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCluster(t)
				left := map[string]int{"secrets": 3, "pods": 3}
				c.PrependReactor("create", "*", func(action clienttest.Action) (bool, runtime.Object, error) {
					left[action.GetResource().Resource]--
					return left[action.GetResource().Resource] >= 0, nil, trouble
				})
				r := start(t, c, kubernetes.Config{}, simplePlan())
				time.Sleep(30 * time.Second)
				r.start().result(job.Outcome{State: job.Success})
				r.wait()
				if r.err != nil || r.outcome.State != job.Success {
					t.Errorf("Run = %+v, %v", r.outcome, r.err)
				}
				if !strings.Contains(r.notes.String(), "Waiting for the cluster (create") && !strings.Contains(r.notes.String(), "Waiting for room in the quota of namespace ci (create pod): exceeded quota: compute\n") {
					t.Errorf("notes = %q", r.notes)
				}
			})
		})
	}
}

func TestRefusalsAreFailures(t *testing.T) {
	pods := schema.GroupResource{Resource: "pods"}
	tests := []struct {
		name string
		err  error
		want job.Reason
	}{
		{"no such namespace", apierrors.NewNotFound(schema.GroupResource{Resource: "namespaces"}, "ci"), job.RunnerConfigurationError},
		{"pod security", apierrors.NewForbidden(pods, "p", errors.New(`violates PodSecurity "restricted:latest"`)), job.RunnerConfigurationError},
		{"RBAC", apierrors.NewForbidden(pods, "p", errors.New(`User "x" cannot create resource "pods"`)), job.RunnerSystemFailure},
		{"spec", apierrors.NewGenericServerResponse(http.StatusUnprocessableEntity, "POST", pods, "p", "bad", 0, true), job.RunnerConfigurationError},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCluster(t)
				c.PrependReactor("create", "pods", func(clienttest.Action) (bool, runtime.Object, error) { return true, nil, tt.err })
				r := start(t, c, kubernetes.Config{}, simplePlan())
				took := r.wait()
				var failure *job.Failure
				if !errors.As(r.err, &failure) || failure.Reason != tt.want || took != 0 {
					t.Errorf("Run = %v after %v, want %s at once", r.err, took, tt.want)
				}
			})
		})
	}
}

// The answer to a create may get lost after the pod was made.
func TestPodThatExistsAlreadyIsTheJobs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t)
		first := true
		c.PrependReactor("create", "pods", func(action clienttest.Action) (bool, runtime.Object, error) {
			if !first {
				return false, nil, nil
			}
			first = false
			create := action.(clienttest.CreateAction)
			if err := c.Tracker().Create(create.GetResource(), create.GetObject(), namespace); err != nil {
				t.Error(err)
			}
			return true, nil, context.DeadlineExceeded
		})
		r := start(t, c, kubernetes.Config{}, simplePlan())
		time.Sleep(time.Second)
		r.start().result(job.Outcome{State: job.Success})
		r.wait()
		if r.err != nil || r.outcome.State != job.Success {
			t.Errorf("Run = %+v, %v", r.outcome, r.err)
		}
	})
}

func TestPlanTooLargeForASecret(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		plan := simplePlan()
		random := make([]byte, 2<<20)
		for i := range random {
			random[i] = "0123456789abcdef"[(i*i*7919>>3^i*104729>>5^i>>7)&15]
		}
		plan.Services = []job.Service{{Image: job.Image{Name: "redis"}, Variables: []job.Variable{{Key: "BIG", Value: string(random)}}}}
		r := start(t, newCluster(t), kubernetes.Config{}, plan)
		r.wait()
		var failure *job.Failure
		if !errors.As(r.err, &failure) || failure.Reason != job.RunnerConfigurationError || !strings.Contains(failure.Message, "too large") {
			t.Errorf("Run = %v", r.err)
		}
	})
}

func TestSweepDeletesWhatNobodyClaims(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t)
		old := start(t, c, kubernetes.Config{}, simplePlan())
		old.cancel(executor.ErrDetached)
		old.wait()

		plan := simplePlan()
		plan.JobID = 4712
		r := start(t, c, kubernetes.Config{}, plan)
		n, err := r.executor.Sweep(t.Context())
		if err != nil || n != 1 {
			t.Errorf("Sweep = %d, %v, want 1", n, err)
		}
		if got := r.pod().Labels["runnerd.io/job"]; got != "4712" {
			t.Errorf("the pod left is of job %s", got)
		}
		secrets, err := c.CoreV1().Secrets(namespace).List(t.Context(), metav1.ListOptions{})
		if err != nil || len(secrets.Items) != 1 {
			t.Errorf("%d Secrets left, %v, want 1", len(secrets.Items), err)
		}
	})
}
