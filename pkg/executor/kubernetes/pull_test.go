package kubernetes_test

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/runnerd/runnerd/pkg/executor/kubernetes"
	"github.com/runnerd/runnerd/pkg/job"
)

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
