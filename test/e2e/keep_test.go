//go:build e2e

package e2e

import (
	"context"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/runnerd/runnerd/internal/standin"
)

// TestKeepFailedPods: a failed job's pod stays, with its build container running
// and without its Secrets, for as long as the config says and across a restart
// of the daemon; the oldest of too many goes first.
func TestKeepFailedPods(t *testing.T) {
	t.Parallel()
	s := start(t, options{concurrent: 1, kubernetes: "keep_failed_pods = \"40s\"\nkeep_failed_pods_max = 1"})
	fine := s.add(standin.JobSpec{Name: "fine", Script: []string{"true"}})
	s.finish(fine, standin.Success)
	first := s.add(standin.JobSpec{Name: "first", Script: []string{"exit 3"}})
	s.finish(first, standin.Failed)
	second := s.add(standin.JobSpec{Name: "second", Script: []string{"touch left-behind", "exit 4"}})
	s.finish(second, standin.Failed) // the one slot is free at once
	pod := s.pod(second)
	if pod == nil || !strings.Contains(second.Text(), "kubectl -n "+s.namespace+" exec -it "+pod.Name+" -c build -- sh") {
		t.Fatalf("the log does not say which pod is kept:\n%s", second.Text())
	}
	if strings.Contains(fine.Text(), "is kept") {
		t.Error("the pod of a job that succeeded is kept")
	}
	wait(t, "the older pod to go", func() bool { return s.pod(first) == nil && s.pod(fine) == nil })
	wait(t, "the Secrets to go", func() bool {
		secrets, err := ground.api.CoreV1().Secrets(s.namespace).List(context.Background(), metav1.ListOptions{})
		return err == nil && len(secrets.Items) == 0
	})

	s.gitlab.ExpectRestart()
	s.drain()
	s.startDaemon()
	third := s.add(standin.JobSpec{Name: "third", Script: []string{"true"}})
	s.finish(third, standin.Success)
	kept := s.pod(second)
	if kept == nil {
		t.Fatal("the kept pod did not outlive the daemon")
	}
	running := false
	for _, c := range kept.Status.ContainerStatuses {
		running = running || c.Name == "build" && c.State.Running != nil
	}
	if !running {
		t.Errorf("the build container does not run any more: %+v", kept.Status.ContainerStatuses)
	}
	until, err := time.Parse(time.RFC3339, kept.Annotations["runnerd.io/keep-until"])
	if err != nil {
		t.Fatal(err)
	}
	if gone := s.gone(kept); gone.Before(until) {
		t.Errorf("the pod went at %v, want it kept until %v", gone, until)
	}
}
