//go:build e2e

package e2e

import (
	"context"
	"errors"
	"os/exec"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/runnerd/runnerd/internal/standin"
)

// TestFailures: each way to fail has its reason, its exit code, and a log that
// says what to do.
func TestFailures(t *testing.T) {
	s := start(t, options{concurrent: 8})
	tests := []struct {
		name   string
		spec   standin.JobSpec
		reason string
		code   int
		says   []string
	}{
		{
			name:   "the first command that fails",
			spec:   standin.JobSpec{Script: []string{"echo before", "sh -c 'exit 42'", "echo never"}},
			reason: "script_failure", code: 42,
			says: []string{"\nbefore\n", "ERROR: Job failed: command terminated with exit code 42"},
		},
		{
			name:   "killed by a signal",
			spec:   standin.JobSpec{Script: []string{"sh -c 'kill -9 $$'"}},
			reason: "script_failure", code: 137,
		},
		{
			name: "script timeout",
			spec: standin.JobSpec{
				Script: []string{"sleep 300"}, AfterScript: []string{`echo "status: $CI_JOB_STATUS"`},
				Variables: []standin.Variable{{Key: "RUNNER_SCRIPT_TIMEOUT", Value: "2s"}},
			},
			reason: "job_execution_timeout", says: []string{"\nstatus: timedout\n"},
		},
		{
			name:   "missing image",
			spec:   standin.JobSpec{Image: standin.Image{Name: ground.registry + "/test/nosuch:9"}},
			reason: "runner_configuration_error",
			says:   []string{ground.registry + "/test/nosuch:9", "not found"},
		},
		{
			name:   "image that needs a password",
			spec:   standin.JobSpec{Image: standin.Image{Name: privateRegistry() + "/test/busybox:1"}},
			reason: "runner_configuration_error",
			says:   []string{privateRegistry() + "/test/busybox:1", privateRegistry()},
		},
		{
			name:   "image without a shell",
			spec:   standin.JobSpec{Image: standin.Image{Name: image("distroless")}},
			reason: "runner_configuration_error", says: []string{"shell", image("distroless")},
		},
		{
			name:   "impossible image name",
			spec:   standin.JobSpec{Image: standin.Image{Name: "UPPER//case:x:y"}},
			reason: "runner_configuration_error", says: []string{"UPPER//case:x:y"},
		},
		{
			name:   "image that may not be pulled",
			spec:   standin.JobSpec{Image: standin.Image{Name: ground.registry + "/test/never:1", PullPolicy: []string{"never"}}},
			reason: "runner_system_failure", says: []string{"pull policy is never"},
		},
		{
			name: "commit that does not exist",
			spec: standin.JobSpec{
				Refspecs: []string{"+refs/heads/main:refs/remotes/origin/main"},
				Mutate: func(payload map[string]any) {
					payload["git_info"].(map[string]any)["sha"] = strings.Repeat("d", 40)
				},
			},
			reason: "script_failure", says: []string{strings.Repeat("d", 8)},
		},
	}
	jobs := make([]*standin.Job, len(tests))
	for i, tt := range tests {
		tt.spec.Name = tt.name
		if tt.spec.Script == nil {
			tt.spec.Script = []string{"echo the script ran"}
		}
		jobs[i] = s.add(tt.spec)
	}
	for i, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			j := jobs[i]
			s.finish(j, standin.Failed)
			if j.FailureReason() != tt.reason || j.ExitCode() != tt.code && tt.code != 0 {
				t.Errorf("failed with %s, exit code %d; want %s, %d; its log:\n%s", j.FailureReason(), j.ExitCode(), tt.reason, tt.code, j.Text())
			}
			for _, want := range append(tt.says, "ERROR: Job failed") {
				if !strings.Contains(j.Text(), want) {
					t.Errorf("the log does not say %q:\n%s", want, j.Text())
				}
			}
			for _, never := range []string{"never\n", "the script ran"} {
				if strings.Contains(j.Text(), "\n"+never) {
					t.Errorf("the log shows that %q was printed:\n%s", never, j.Text())
				}
			}
			took := when(t, j, standin.EventFinished).Sub(when(t, j, standin.EventHandedOut))
			t.Logf("took %v: %s", took, lastLine(j.Text()))
		})
	}
}

// TestTimeout: a job that takes longer than GitLab allows ends in its script, and
// after_script gets no time. The time runs from the job's beginning, so that it
// has to be long enough for a pod to start on a busy machine.
func TestTimeout(t *testing.T) {
	t.Parallel()
	s := start(t, options{})
	j := s.add(standin.JobSpec{
		Name: "timeout", Script: []string{"echo begun", "sleep 300"},
		Timeout: 30 * time.Second, AfterScript: []string{"echo after_script ran"},
	})
	s.finish(j, standin.Failed)
	if j.FailureReason() != "job_execution_timeout" || strings.Contains(j.Text(), "\nafter_script ran") {
		t.Errorf("failed with %s; its log:\n%s", j.FailureReason(), j.Text())
	}
	says(t, j, "\nbegun\n", "execution took longer than 30s seconds")
}

func lastLine(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return lines[len(lines)-1]
}

// privateRegistry is the cluster's registry that wants a password.
func privateRegistry() string {
	host, _, _ := strings.Cut(ground.registry, ":")
	return host + ":5001"
}

// TestPrivateImage: the job's own registry credentials open the registry.
func TestPrivateImage(t *testing.T) {
	t.Parallel()
	s := start(t, options{})
	j := s.add(standin.JobSpec{
		Name: "private", Script: []string{"echo pulled"}, Image: standin.Image{Name: privateRegistry() + "/test/busybox:1"},
		Credentials: []standin.Credential{{Type: "registry", URL: privateRegistry(), Username: "ci", Password: "registry-secret"}},
	})
	s.finish(j, standin.Success)
}

// TestDenied: a denied job gets no pod, and its log says which list denied it,
// what was asked, and what is allowed.
func TestDenied(t *testing.T) {
	t.Parallel()
	allowed := ground.registry + "/test/*"
	s := start(t, options{
		kubernetes: "allowed_images = [\"" + allowed + "\"]\nallowed_services = [\"postgres:16\"]",
		policy:     "contact = \"#platform\"",
	})
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	pods, err := ground.api.CoreV1().Pods(s.namespace).Watch(ctx, metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer pods.Stop()

	image := s.add(standin.JobSpec{
		Name: "image", Script: []string{"true"}, Image: standin.Image{Name: "$REGISTRY/miner"},
		Variables: []standin.Variable{{Key: "REGISTRY", Value: "registry.evil.example"}},
	})
	service := s.add(standin.JobSpec{Name: "service", Script: []string{"true"}, Services: []standin.Service{{Name: "redis:7"}}})
	for _, tt := range []struct {
		job  *standin.Job
		says []string
	}{
		{image, []string{"allowed_images", "registry.evil.example/miner", allowed, "#platform"}},
		{service, []string{"allowed_services", "redis:7", "docker.io/library/redis:7", "postgres:16", "#platform"}},
	} {
		s.finish(tt.job, standin.Failed)
		if tt.job.FailureReason() != "runner_system_failure" {
			t.Errorf("job %s failed with %s", tt.job.Name(), tt.job.FailureReason())
		}
		for _, want := range tt.says {
			if !strings.Contains(tt.job.Text(), want) {
				t.Errorf("the log does not say %q:\n%s", want, tt.job.Text())
			}
		}
	}
	// A pod of an allowed job comes behind whatever the denied ones made.
	fine := s.add(standin.JobSpec{Name: "fine", Script: []string{"true"}})
	s.finish(fine, standin.Success)
	for event := range pods.ResultChan() {
		pod, ok := event.Object.(*corev1.Pod)
		if !ok {
			t.Fatalf("watch of the pods: %v", event)
		}
		name := pod.Annotations["job.runner.gitlab.com/name"]
		if name != "fine" {
			t.Errorf("a pod was made for job %q", name)
		}
		if name == "fine" {
			break
		}
	}
}

func TestProtectedRefsOnly(t *testing.T) {
	t.Parallel()
	s := start(t, options{policy: "protected_refs_only = true"})
	open := s.add(standin.JobSpec{
		Name: "open", Script: []string{"true"},
		Variables: []standin.Variable{{Key: "CI_COMMIT_REF_PROTECTED", Value: "true"}},
	})
	protected := s.add(standin.JobSpec{Name: "protected", Script: []string{"true"}, Protected: true})
	s.finish(open, standin.Failed)
	if !strings.Contains(open.Text(), "protected_refs_only") {
		t.Errorf("the log does not name the rule:\n%s", open.Text())
	}
	s.finish(protected, standin.Success)
}

// TestBadConfig: one line a problem, exit code 2, nothing started.
func TestBadConfig(t *testing.T) {
	s := start(t, options{})
	bad := s.config + ".bad"
	if err := exec.Command("sh", "-c", `sed 's/^namespace/namespaze/' "$1" > "$2"`, "sh", s.config, bad).Run(); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(ground.runnerd, "run", "--config", bad).CombinedOutput()
	exit, ok := errors.AsType[*exec.ExitError](err)
	if !ok || exit.ExitCode() != 2 {
		t.Errorf("runnerd run ended with %v, want exit code 2", err)
	}
	if text := string(out); strings.Count(text, "\n") != 1 || !strings.Contains(text, "namespaze") || !strings.Contains(text, bad+":") {
		t.Errorf("runnerd run printed %q, want one line with file, line and key", text)
	}
}
