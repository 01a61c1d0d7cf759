//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"net/http"
	"path"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/runnerd/runnerd/internal/standin"
)

// twoPhase is a site whose GitLab keeps jobs pending until they are confirmed, and
// whose pods find no node before place has given it a label, the test's own.
func twoPhase(t *testing.T, ttl time.Duration, kubernetes string) options {
	return options{
		gitlab:     standin.Options{TwoPhase: true, TwoPhaseTTL: ttl},
		runner:     `two_phase = "auto"`,
		kubernetes: fmt.Sprintf("node_selector = {%q = \"yes\"}\n%s", phaseLabel(t), kubernetes),
	}
}

func place(s *site) { labelNode(s.t, phaseLabel(s.t), "yes") }

func phaseLabel(t testing.TB) string {
	return "runnerd.io/" + strings.NewReplacer("/", ".", " ", "-").Replace(t.Name())
}

// unplaced waits until a job's pod has found no node, and returns it.
func (s *site) unplaced(j *standin.Job) (pod *corev1.Pod) {
	s.t.Helper()
	wait(s.t, "a pod that finds no node", func() bool {
		pod = s.pod(j)
		return pod != nil && len(pod.Status.Conditions) > 0
	})
	return pod
}

// TestTwoPhase: a job is pending until its pod has a node, for longer than GitLab
// waits for a word; what was said meanwhile stands in its log.
func TestTwoPhase(t *testing.T) {
	t.Parallel()
	s := start(t, twoPhase(t, 20*time.Second, ""))
	j := s.add(standin.JobSpec{Name: "held", Script: []string{"echo the script runs"}})
	begun := s.unplaced(j).CreationTimestamp
	wait(t, "more time than GitLab gives a job of which it hears nothing", func() bool { return time.Since(begun.Time) > 25*time.Second })
	if j.State() != standin.Pending || len(j.Log()) > 0 {
		t.Errorf("the job is %s while its pod finds no node, with a log of %d bytes; want pending and none", j.State(), len(j.Log()))
	}
	place(s)
	s.finish(j, standin.Success)
	says(t, j, "Waiting for a node: ", "\nthe script runs\n")
}

// TestTwoPhaseGiveBack: a job that finds no room within poll_timeout is GitLab's
// again, and its retry is taken when there is room.
func TestTwoPhaseGiveBack(t *testing.T) {
	t.Parallel()
	t.Run("unschedulable", func(t *testing.T) {
		giveBack(t, func(s *site) (allow func()) { return func() { place(s) } })
	})
	t.Run("quota", func(t *testing.T) {
		giveBack(t, func(s *site) (allow func()) {
			place(s)
			return s.forbidPods()
		})
	})
}

// giveBack is that for one reason, the test's name; forbid keeps pods from their
// place until allow is called.
func giveBack(t *testing.T, forbid func(*site) (allow func())) {
	s := start(t, twoPhase(t, 15*time.Second, "poll_timeout = 40\npause_on_quota = false"))
	allow := forbid(s)
	j := s.add(standin.JobSpec{Name: "given back", Script: []string{"echo the script runs"}})
	reason := path.Base(t.Name())
	wait(t, "the job to be counted as given back", func() bool {
		text, err := s.get("/metrics")
		return err == nil && regexp.MustCompile(`(?m)^runnerd_jobs_given_back_total\{.*reason="`+reason+`".*\} [1-9]`).MatchString(text)
	})
	wait(t, "nothing of it to be left", func() bool { return s.pod(j) == nil && len(s.secrets("")) == 0 })
	allow()
	s.finish(j, standin.Failed)
	if j.FailureReason() != "runner_provisioning_timeout" || len(j.Log()) > 0 {
		t.Errorf("the job failed with %q and a log of %d bytes, want runner_provisioning_timeout and none", j.FailureReason(), len(j.Log()))
	}
	s.finish(j.RetriedAs(), standin.Success)
}

// TestTwoPhaseCancel: a job that is canceled while it is pending leaves nothing.
func TestTwoPhaseCancel(t *testing.T) {
	t.Parallel()
	s := start(t, twoPhase(t, 0, ""))
	j := s.add(standin.JobSpec{Name: "canceled", Script: []string{"echo the script runs"}})
	pod := s.unplaced(j)
	j.Cancel()
	s.gone(pod)
	s.finish(j, standin.Canceled)
}

// TestTwoPhaseOfAnother: a job that GitLab has given to another manager is dropped
// without a word, and its pod goes.
func TestTwoPhaseOfAnother(t *testing.T) {
	t.Parallel()
	s := start(t, twoPhase(t, 15*time.Second, ""))
	j := s.add(standin.JobSpec{Name: "another's", Script: []string{"echo the script runs"}})
	pod := s.unplaced(j)
	s.gitlab.Inject(standin.Fault{Endpoint: standin.UpdateJob, Job: j.ID(), Status: http.StatusConflict, Times: -1})
	s.gone(pod)
	place(s)
	s.finish(j, standin.Failed)
	s.finish(j.RetriedAs(), standin.Success)
}

// TestTwoPhaseKill: the next daemon goes on with a job that is pending, unless GitLab
// has it again.
func TestTwoPhaseKill(t *testing.T) {
	t.Parallel()
	for _, late := range []bool{false, true} {
		t.Run(map[bool]string{false: "in time", true: "too late"}[late], func(t *testing.T) {
			ttl := time.Minute
			if late {
				ttl = 15 * time.Second
			}
			k := &killed{site: start(t, twoPhase(t, ttl, ""))}
			k.job = k.add(standin.JobSpec{Name: "killed", Script: []string{"echo the script runs"}})
			pod := k.unplaced(k.job)
			wait(t, "the record to know of the pod", func() bool { return len(k.startedRecords()) == 1 })
			k.kill()
			if late {
				k.finish(k.job, standin.Failed)
			}
			k.startDaemon()
			if !late {
				k.until(k.job, "running", func(j *standin.Job) bool { return j.State() == standin.Running })
				place(k.site)
				k.finish(k.job, standin.Success)
				says(t, k.job, "\nthe script runs\n")
				return
			}
			k.gone(pod)
			place(k.site)
			k.finish(k.job.RetriedAs(), standin.Success)
		})
	}
}

// TestTwoPhaseOfADeadReplica: another replica goes on with a job that is pending when its
// own dies, unless GitLab has it again by then.
func TestTwoPhaseOfADeadReplica(t *testing.T) {
	t.Parallel()
	for _, late := range []bool{false, true} {
		t.Run(map[bool]string{false: "in time", true: "too late"}[late], func(t *testing.T) {
			o := twoPhase(t, 2*time.Minute, "")
			if late {
				o.gitlab.TwoPhaseTTL = 5 * time.Second // before the dead one's Lease has run out
			}
			o.gitlab.Concurrent = -1 // the dead one's count at GitLab
			k := &killed{site: start(t, o)}
			k.job = k.add(standin.JobSpec{Name: "held", Script: []string{"echo the script runs"}})
			pod := k.unplaced(k.job)
			wait(t, "the record to know of the pod", func() bool { return len(k.startedRecords()) == 1 })
			other := k.replica()
			k.kill()
			wait(t, "the other to adopt the job", func() bool { return strings.Contains(other.daemonLog(), `"job adopted"`) })
			last := k.job
			if late {
				k.finish(last, standin.Failed)
				k.gone(pod)
				last = last.RetriedAs()
			} else {
				k.until(last, "running", func(j *standin.Job) bool { return j.State() == standin.Running })
			}
			place(k.site)
			k.finish(last, standin.Success)
			says(t, last, "\nthe script runs\n")
			k.startDaemon()
		})
	}
}

// terminate stops the daemon as a deployment does.
func (s *site) terminate() {
	s.t.Helper()
	if err := s.daemon.Process.Signal(syscall.SIGTERM); err != nil {
		s.t.Fatal(err)
	}
	if err := <-s.exited; err != nil {
		s.t.Errorf("the daemon ended with %v, want exit code 0", err)
	}
}

// TestTwoPhaseStop: a daemon that is stopped before a job has a record gives it back.
func TestTwoPhaseStop(t *testing.T) {
	t.Parallel()
	s := start(t, options{
		gitlab: standin.Options{TwoPhase: true, TwoPhaseTTL: 15 * time.Second},
		runner: "two_phase = \"auto\"\nproject_limit = 1",
	})
	first := s.add(standin.JobSpec{Name: "first", Script: []string{"echo the script runs", "sleep 300"}})
	s.until(first, "its script", logHas("\nthe script runs\n"))
	second := s.add(standin.JobSpec{Name: "second", Script: []string{"echo the script runs"}})
	wait(t, "the job to wait for its project", func() bool { return strings.Contains(s.daemonLog(), "job waits for others of its project") })
	s.terminate()
	s.finish(second, standin.Failed)
	if second.FailureReason() != "runner_provisioning_timeout" {
		t.Errorf("the job that waited failed with %q, want runner_provisioning_timeout", second.FailureReason())
	}
	s.gitlab.ExpectRestart()
	s.startDaemon()
	first.Cancel()
	s.finish(first, standin.Canceled)
	s.finish(second.RetriedAs(), standin.Success)
}

// TestGitLabWithoutTwoPhase: it is asked once, and its jobs run from the moment that
// they are taken.
func TestGitLabWithoutTwoPhase(t *testing.T) {
	t.Parallel()
	s := start(t, options{gitlab: standin.Options{Allow: []string{"14.14"}}, runner: `two_phase = "auto"`})
	for _, name := range []string{"first", "second"} {
		s.finish(s.add(standin.JobSpec{Name: name, Script: []string{"echo the script runs"}}), standin.Success)
	}
	if n := strings.Count(s.daemonLog(), "GitLab does not hold jobs"); n != 1 {
		t.Errorf("the daemon's log says %d times that GitLab holds no jobs, want once", n)
	}
	pods, err := ground.api.CoreV1().Pods(s.namespace).List(context.Background(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range pods.Items {
		if _, held := p.Annotations["runnerd.io/go"]; held {
			t.Errorf("pod %s was held", p.Name)
		}
	}
}
