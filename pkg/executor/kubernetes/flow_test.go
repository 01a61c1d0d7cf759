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

func TestPullProblems(t *testing.T) {
	tests := []struct {
		name, reason, message string
		want                  job.Reason
		says                  string
		after                 time.Duration
	}{
		{
			name: "missing image fails at once", reason: "ErrImagePull",
			message: `failed to resolve reference "registry.example.com/ci/go:1.26": registry.example.com/ci/go:1.26: not found`,
			want:    job.RunnerConfigurationError, says: "cannot be pulled from registry.example.com",
		},
		{
			name: "denied image says which credentials were used", reason: "ErrImagePull",
			message: "pull access denied, repository does not exist or may require authorization",
			want:    job.RunnerConfigurationError, says: `tried with the job's credentials for registry.example.com (user "bot")`,
		},
		{
			name: "network trouble has a budget", reason: "ImagePullBackOff",
			message: `Back-off pulling image: dial tcp: lookup registry.example.com: no such host`,
			want:    job.ExternalDependencyFailure, says: "within 1m0s", after: time.Minute,
		},
		{
			name: "unknown trouble has a budget", reason: "ErrImagePull", message: "500 Internal Server Error",
			want: job.ImagePullFailure, says: "500 Internal", after: time.Minute,
		},
		{
			name: "never pull cannot heal", reason: "ErrImageNeverPull", message: "Container image is not present with pull policy of Never",
			want: job.ImagePullFailure, says: "pull policy is never",
		},
		{
			name: "bad name", reason: "InvalidImageName", message: "couldn't parse image name",
			want: job.RunnerConfigurationError, says: "not a valid image name",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				plan := simplePlan()
				plan.Credentials = []job.Credential{{URL: "registry.example.com", Username: "bot", Password: "x"}}
				r := start(t, newCluster(t), kubernetes.Config{}, plan)
				r.waiting("build", tt.reason, tt.message)
				took := r.wait()
				var failure *job.Failure
				if !errors.As(r.err, &failure) || failure.Reason != tt.want || !strings.Contains(failure.Message, tt.says) {
					t.Errorf("Run = %v (%+v), want %s saying %q", r.err, failure, tt.want, tt.says)
				}
				if took < tt.after || took > tt.after+time.Second {
					t.Errorf("Run took %v, want %v", took, tt.after)
				}
			})
		})
	}
}

func TestNextPullPolicyMeansANewPod(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, newCluster(t), kubernetes.Config{PullPolicies: []string{"always", "if-not-present"}}, simplePlan())
		first := r.pod()
		r.waiting("build", "ErrImagePull", "dial tcp: connection refused")
		time.Sleep(61 * time.Second) // the budget
		second := r.pod()
		if second.Name == first.Name {
			t.Fatalf("pod %s is still there", first.Name)
		}
		for _, c := range second.Spec.Containers {
			want := corev1.PullAlways
			if c.Name == "build" {
				want = corev1.PullIfNotPresent
			}
			if c.ImagePullPolicy != want {
				t.Errorf("container %s has policy %s, want %s", c.Name, c.ImagePullPolicy, want)
			}
		}
		log := r.start()
		log.result(job.Outcome{State: job.Success})
		r.wait()
		if r.err != nil || r.outcome.State != job.Success {
			t.Errorf("Run = %+v, %v", r.outcome, r.err)
		}
		if !strings.Contains(r.notes.String(), "trying again with pull policy IfNotPresent") {
			t.Errorf("notes = %q", r.notes)
		}
		if err := r.executor.Remove(t.Context(), r.task); err != nil || len(r.pods()) > 0 {
			t.Errorf("Remove: %v, pods %q", err, r.pods())
		}
	})
}

func TestPullPolicyThatIsNotAllowed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		plan := simplePlan()
		plan.Image.PullPolicies = []string{"never"}
		r := start(t, newCluster(t), kubernetes.Config{PullPolicies: []string{"always"}}, plan)
		r.wait()
		var failure *job.Failure
		if !errors.As(r.err, &failure) || failure.Reason != job.RunnerConfigurationError || len(r.pods()) > 0 {
			t.Errorf("Run = %v, pods %q", r.err, r.pods())
		}
	})
}

func TestImageWithoutShell(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, newCluster(t), kubernetes.Config{}, simplePlan())
		r.update(func(p *corev1.Pod) {
			p.Spec.NodeName = "node-1"
			setStatus(p, "helper", corev1.ContainerState{Running: &corev1.ContainerStateRunning{}})
			setStatus(p, "build", corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{
				Reason: "StartError", ExitCode: 128,
				Message: `runc create failed: unable to start container process: exec: "sh": executable file not found in $PATH: unknown`,
			}})
		})
		r.wait()
		var failure *job.Failure
		if !errors.As(r.err, &failure) || failure.Reason != job.RunnerConfigurationError || !strings.Contains(failure.Message, "has no shell") {
			t.Errorf("Run = %v", r.err)
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

func TestCancel(t *testing.T) {
	tests := []struct {
		name  string
		start bool // the pod has a node and runs
		after func(*podLog)
		took  time.Duration
		gone  bool // the pod was deleted for it
		want  job.State
	}{
		{
			name: "helper answers", start: true,
			after: func(log *podLog) {
				log.event(job.Event{Canceling: true})
				time.Sleep(time.Minute) // after_script
				log.result(job.Outcome{State: job.Canceled, Reason: job.JobCanceled})
			},
			took: time.Minute, want: job.Canceled,
		},
		{name: "helper is silent", start: true, took: 5 * time.Second, gone: true, want: job.Canceled},
		{name: "pod has no node yet", took: 0, gone: true, want: job.Canceled},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := start(t, newCluster(t), kubernetes.Config{}, simplePlan())
				var log *podLog
				if tt.start {
					log = r.start()
					log.write("begun\n")
				}
				began := time.Now()
				r.signals <- job.CancelGracefully
				synctest.Wait()
				if tt.start {
					if got := r.pod().Annotations["runnerd.io/signal"]; got != "cancel" {
						t.Errorf("annotation runnerd.io/signal = %q, want cancel", got)
					}
				}
				if tt.after != nil {
					tt.after(log)
				}
				r.wait()
				if r.err != nil || r.outcome.State != tt.want {
					t.Errorf("Run = %+v, %v, want state %s", r.outcome, r.err, tt.want)
				}
				if gone := len(r.pods()) == 0; gone != tt.gone {
					t.Errorf("pod gone = %v, want %v", gone, tt.gone)
				}
				if took := time.Since(began); took < tt.took || took > tt.took+2*time.Second {
					t.Errorf("took %v, want %v", took, tt.took)
				}
			})
		})
	}
}

// A log that GitLab does not take hides the helper's answer; that is no reason
// to kill the job.
func TestCancelWaitsWhileGitLabIsBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, newCluster(t), kubernetes.Config{}, simplePlan())
		log := r.start()
		log.cut()
		r.change(log, func() { log.opened = false }) // refused: nothing can be heard
		r.signals <- job.CancelGracefully
		time.Sleep(time.Minute)
		if len(r.pods()) != 1 {
			t.Fatal("pod was deleted though its helper could not be heard")
		}
		log.open()
		log.event(job.Event{Canceling: true})
		log.result(job.Outcome{State: job.Canceled, Reason: job.JobCanceled})
		r.wait()
		if r.outcome.State != job.Canceled || r.err != nil {
			t.Errorf("Run = %+v, %v", r.outcome, r.err)
		}
	})
}

func (r *run) change(log *podLog, f func()) { log.change(f); synctest.Wait() }

func TestContextEndsRunAtOnceAndLeavesThePod(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, newCluster(t), kubernetes.Config{}, simplePlan())
		r.start().write("begun\n")
		r.cancel(executor.ErrDetached)
		if took := r.wait(); took != 0 || !errors.Is(r.err, executor.ErrDetached) {
			t.Errorf("Run = %v after %v, want ErrDetached at once", r.err, took)
		}
		if len(r.pods()) != 1 {
			t.Error("pod is gone")
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
				if !strings.Contains(r.notes.String(), "Waiting for the cluster (create") {
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
