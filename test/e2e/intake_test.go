//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/runnerd/runnerd/internal/standin"
)

// paused reports whether the daemon asks for no jobs for that reason.
func (s *site) paused(reason string) bool {
	s.t.Helper()
	text, err := s.get("/metrics")
	if err != nil {
		s.t.Fatal(err)
	}
	return regexp.MustCompile(`(?m)^runnerd_intake_paused\{.*reason="` + reason + `".*\} 1$`).MatchString(text)
}

// untilPaused waits for that.
func (s *site) untilPaused(reason string) {
	s.t.Helper()
	wait(s.t, "the pause because of "+reason, func() bool { return s.paused(reason) })
}

// limitPods bounds the number of pods in the site's namespace.
func (s *site) limitPods(n int) {
	s.t.Helper()
	ctx := context.Background()
	quotas := ground.api.CoreV1().ResourceQuotas(s.namespace)
	quota := &corev1.ResourceQuota{
		ObjectMeta: metav1.ObjectMeta{Name: "few-pods"},
		Spec:       corev1.ResourceQuotaSpec{Hard: corev1.ResourceList{corev1.ResourcePods: *resource.NewQuantity(int64(n), resource.DecimalSI)}},
	}
	if _, err := quotas.Create(ctx, quota, metav1.CreateOptions{}); err != nil {
		s.t.Fatal(err)
	}
	wait(s.t, "the quota to be in force", func() bool {
		q, err := quotas.Get(ctx, quota.Name, metav1.GetOptions{})
		return err == nil && len(q.Status.Hard) > 0
	})
}

// TestQuotaPausesIntake: a job for whose pod the quota has no room stays in GitLab's
// queue.
func TestQuotaPausesIntake(t *testing.T) {
	t.Parallel()
	s := start(t, options{more: func(s *site) string { s.limitPods(1); return "" }})
	var jobs []*standin.Job
	for i := range 3 {
		jobs = append(jobs, s.add(standin.JobSpec{Name: fmt.Sprint("job ", i), Script: []string{"echo the script runs", "sleep 4"}}))
	}
	s.until(jobs[0], "its script", logHas("\nthe script runs\n"))
	s.untilPaused("quota")
	if jobs[1].State() != standin.Pending || jobs[2].State() != standin.Pending {
		t.Errorf("jobs 1 and 2 are %s and %s while there is room for one pod, want pending", jobs[1].State(), jobs[2].State())
	}
	for i, j := range jobs {
		s.finish(j, standin.Success)
		if strings.Contains(j.Text(), "Waiting for room") {
			t.Errorf("job %d was taken before there was room:\n%s", i, j.Text())
		}
	}
	for _, want := range []string{"no room for another job: asking for none", `"reason":"quota"`, "there is room again: asking for jobs"} {
		if !strings.Contains(s.daemonLog(), want) {
			t.Errorf("the daemon's log lacks %q", want)
		}
	}
}

// TestUnschedulablePodPausesIntake: as long as a pod finds no node, no other job is
// taken.
func TestUnschedulablePodPausesIntake(t *testing.T) {
	t.Parallel()
	s := start(t, options{kubernetes: `node_selector = {"runnerd.io/e2e-room" = "yes"}`})
	first := s.add(standin.JobSpec{Name: "first", Script: []string{"echo the script runs"}})
	s.until(first, "what it waits for", logHas("Waiting for a node: "))
	s.untilPaused("unschedulable")
	second := s.add(standin.JobSpec{Name: "second", Script: []string{"echo the script runs"}})
	wait(t, "the pause to be in the log", func() bool { return strings.Contains(s.daemonLog(), "no room for another job: asking for none") })
	if second.State() != standin.Pending {
		t.Errorf("the second job is %s, want pending", second.State())
	}
	labelNode(t, "runnerd.io/e2e-room", "yes")
	s.finish(first, standin.Success)
	s.finish(second, standin.Success)
	if n := strings.Count(first.Text(), "Waiting for a node"); n != 1 {
		t.Errorf("the log says %d times what the job waits for, want once:\n%s", n, first.Text())
	}
}

// TestProjectLimit: a job beyond its project's limit waits before it has a pod, and
// can be canceled.
func TestProjectLimit(t *testing.T) {
	t.Parallel()
	s := start(t, options{runner: "project_limit = 1"})
	first := s.add(standin.JobSpec{Name: "first", Script: []string{"echo the script runs", "sleep 300"}})
	s.until(first, "its script", logHas("\nthe script runs\n"))
	second := s.add(standin.JobSpec{Name: "second", Script: []string{"echo the script runs"}})
	const waits = "Waiting: project group/hello has 1 of at most 1 jobs running on this runner"
	s.until(second, "what it waits for", logHas(waits))
	s.untilPaused("project_limit")
	if s.pod(second) != nil {
		t.Error("the job that waits has a pod")
	}
	second.Cancel()
	s.finish(second, standin.Canceled)
	third := s.add(standin.JobSpec{Name: "third", Script: []string{"echo the script runs"}})
	s.until(third, "what it waits for", logHas(waits))
	first.Cancel()
	s.finish(first, standin.Canceled)
	s.finish(third, standin.Success)
	t.Logf("what a job that has waited looks like:\n%s", third.Text())
}
