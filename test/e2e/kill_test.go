//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/runnerd/runnerd/internal/standin"
)

// A killPoint is a moment of a job's life at which the daemon dies.
type killPoint struct {
	name string
	spec standin.JobSpec
	// hold is called before the job is queued. It keeps the daemon at the point.
	hold func(k *killed)
	// reached waits until the daemon is there.
	reached func(k *killed)
	// between is called when the daemon is dead, before the next one starts.
	between func(k *killed)
	want    standin.State
}

// killed is the site of one killPoint.
type killed struct {
	*site
	job     *standin.Job
	fault   *standin.Injected
	release func()
}

const countCommand = `for i in $(seq 1 40); do echo "line $i"; sleep 0.1; done`

// counted is what countCommand prints.
func counted() string {
	var b strings.Builder
	for i := 1; i <= 40; i++ {
		fmt.Fprintf(&b, "line %d\n", i)
	}
	return b.String()
}

// forever keeps a request until its client is dead.
const forever = time.Hour

// holdEnd keeps the final update from GitLab.
func holdEnd(state string) func(k *killed) {
	return func(k *killed) {
		k.fault = k.gitlab.Inject(standin.Fault{Endpoint: standin.UpdateJob, State: state, Delay: forever})
	}
}

func hit(k *killed) {
	wait(k.t, "the request that is held", func() bool { return k.fault.Hits() > 0 })
}

var killPoints = []killPoint{
	{
		name: "between Secret and pod",
		hold: func(k *killed) { k.release = k.forbidPods() },
		reached: func(k *killed) {
			wait(k.t, "the job's record", func() bool { return len(k.secrets("runnerd.io/record")) == 1 })
			// The Secrets are all there when the first try to create the pod fails.
			k.until(k.job, "a line about what it waits for", func(j *standin.Job) bool { return strings.Contains(j.Text(), "exceeded quota") })
		},
		between: func(k *killed) { k.release() },
	},
	{
		name: "before the first byte",
		hold: func(k *killed) {
			k.fault = k.gitlab.Inject(standin.Fault{Endpoint: standin.PatchTrace, Times: -1, Reset: true})
		},
		reached: func(k *killed) {
			wait(k.t, "the pod", func() bool { return len(k.startedRecords()) == 1 })
		},
		between: func(k *killed) { k.fault.Remove() },
	},
	{
		name: "in mid-script",
		reached: func(k *killed) {
			k.until(k.job, "line 10", func(j *standin.Job) bool { return strings.Contains(j.Text(), "\nline 10\n") })
		},
	},
	{
		name: "in mid-script, and the node loses the end of the log",
		reached: func(k *killed) {
			k.until(k.job, "line 10", func(j *standin.Job) bool { return strings.Contains(j.Text(), "\nline 10\n") })
		},
		between: func(k *killed) { k.loseEnd("line 30") },
	},
	{
		name:    "between script and final update",
		hold:    holdEnd("success"),
		reached: hit,
	},
	{
		name:    "between a failed script and final update",
		spec:    standin.JobSpec{Script: []string{countCommand, "exit 3"}},
		hold:    holdEnd("failed"),
		reached: hit,
		want:    standin.Failed,
	},
	{
		name: "after the final update",
		hold: func(k *killed) {
			k.gitlab.Inject(standin.Fault{Endpoint: standin.UpdateJob, State: "success", LoseAnswer: true})
			holdEnd("success")(k) // the repetition
		},
		reached: func(k *killed) {
			hit(k)
			if state := k.job.State(); state != standin.Success {
				k.t.Fatalf("the job is %s, want success", state)
			}
			if len(k.secrets("runnerd.io/record")) != 1 || k.pod(k.job) == nil {
				k.t.Fatal("the job is cleaned up already")
			}
		},
	},
}

// TestKill: a daemon that is killed and started again goes on with its jobs: each
// log is exact, each result is reported once, and nothing is left over.
func TestKill(t *testing.T) {
	t.Parallel()
	for _, point := range killPoints {
		t.Run(point.name, func(t *testing.T) {
			k := &killed{site: start(t, options{
				gitlab:     standin.Options{TraceInterval: time.Second},
				kubernetes: "pause_on_quota = false", // a point is one where the quota has no room for the pod
			})}
			if point.hold != nil {
				point.hold(k)
			}
			if point.spec.Script == nil {
				point.spec.Script = []string{countCommand}
			}
			point.spec.Name = point.name
			k.job = k.add(point.spec)
			point.reached(k)
			k.kill()
			if point.between != nil {
				point.between(k)
			}
			k.startDaemon()
			want := standin.Success
			if point.want != "" {
				want = point.want
			}
			k.finish(k.job, want)
			k.checkLog(want)
		})
	}
}

// checkLog checks that the job's log is one log, made once.
func (k *killed) checkLog(want standin.State) {
	k.t.Helper()
	text := k.job.Text()
	commands := []string{countCommand}
	output := counted()
	end := "Job succeeded"
	if want == standin.Failed {
		output += "\x1b[32;1m$ exit 3\x1b[0;m\n"
		end = "ERROR: Job failed: command terminated with exit code 3"
	}
	if got, want := section(k.t, text, "step_script"), scriptSection(output, commands...); got != want {
		k.t.Errorf("script section = %q, want %q", got, want)
	}
	for _, once := range []string{"Running with runnerd", "Using Kubernetes namespace", "section_start:[0-9]+:prepare_executor", "section_end:[0-9]+:prepare_executor", end} {
		if got := len(regexp.MustCompile(once).FindAllString(text, -1)); got != 1 {
			k.t.Errorf("%q is %d times in the log, want once", once, got)
		}
	}
	finished := 0
	for _, e := range k.job.Events() {
		if e.Kind == standin.EventFinished {
			finished++
		}
	}
	if finished != 1 {
		k.t.Errorf("the job was finished %d times, want once", finished)
	}
	if k.t.Failed() {
		k.t.Logf("the job's log:\n%s", text)
	}
}

// TestKillBeforeTheSecret: of a job that nobody has written down yet only GitLab
// knows. It fails there when nothing is heard of it; the next daemon works.
func TestKillBeforeTheSecret(t *testing.T) {
	t.Parallel()
	k := &killed{site: start(t, options{gitlab: standin.Options{Silence: 5 * time.Second}})}
	k.fault = k.gitlab.Inject(standin.Fault{Endpoint: standin.UpdateJob, State: "running", Delay: forever})
	k.job = k.add(standin.JobSpec{Name: "lost"})
	hit(k)
	k.kill()
	if left := k.secrets(""); len(left) != 0 {
		t.Errorf("%d Secrets are there before GitLab has heard of the job", len(left))
	}
	k.startDaemon()
	next := k.add(standin.JobSpec{Name: "next"})
	k.finish(next, standin.Success)
	k.finish(k.job, standin.Failed)
	if reason := k.job.FailureReason(); reason != "no_updates_running" {
		t.Errorf("the lost job failed with %s", reason)
	}
}

// TestLetGo: SIGTERM leaves jobs to the next daemon, at once.
func TestLetGo(t *testing.T) {
	t.Parallel()
	k := &killed{site: start(t, options{})}
	k.job = k.add(standin.JobSpec{Name: "let go", Script: []string{countCommand}})
	k.until(k.job, "line 10", func(j *standin.Job) bool { return strings.Contains(j.Text(), "\nline 10\n") })
	began := time.Now()
	if err := k.daemon.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := <-k.exited; err != nil {
		t.Errorf("the daemon ended with %v, want exit code 0", err)
	}
	t.Logf("the daemon ended after %v", time.Since(began))
	if d := time.Since(began); d > 10*time.Second {
		t.Errorf("the daemon ended after %v", d)
	}
	k.gitlab.ExpectRestart()
	k.startDaemon()
	k.finish(k.job, standin.Success)
	k.checkLog(standin.Success)
}

// TestLetGoBeforeTheSecret: a job that comes with the SIGTERM is written down first,
// so that the next daemon knows of it.
func TestLetGoBeforeTheSecret(t *testing.T) {
	t.Parallel()
	k := &killed{site: start(t, options{})}
	k.fault = k.gitlab.Inject(standin.Fault{Endpoint: standin.UpdateJob, State: "running", Delay: forever})
	k.job = k.add(standin.JobSpec{Name: "just come", Script: []string{countCommand}})
	hit(k)
	if err := k.daemon.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	wait(t, "the daemon's word that it stops", func() bool { return strings.Contains(k.daemonLog(), "stopping: jobs in pods are left") })
	k.fault.Remove() // what it has not acknowledged it goes on with
	if err := <-k.exited; err != nil {
		t.Errorf("the daemon ended with %v, want exit code 0", err)
	}
	k.gitlab.ExpectRestart()
	k.startDaemon()
	k.finish(k.job, standin.Success)
	k.checkLog(standin.Success)
}

// kill ends the daemon as the kernel would.
func (k *killed) kill() {
	k.t.Helper()
	if err := k.daemon.Process.Kill(); err != nil {
		k.t.Fatal(err)
	}
	<-k.exited
	k.gitlab.ExpectRestart()
}

// forbidPods keeps pods from being created until the returned function is called.
func (s *site) forbidPods() (allow func()) {
	s.t.Helper()
	ctx := context.Background()
	quotas := ground.api.CoreV1().ResourceQuotas(s.namespace)
	quota := &corev1.ResourceQuota{
		ObjectMeta: metav1.ObjectMeta{Name: "no-pods"},
		Spec:       corev1.ResourceQuotaSpec{Hard: corev1.ResourceList{corev1.ResourcePods: resource.MustParse("0")}},
	}
	if _, err := quotas.Create(ctx, quota, metav1.CreateOptions{}); err != nil {
		s.t.Fatal(err)
	}
	wait(s.t, "the quota to be in force", func() bool {
		q, err := quotas.Get(ctx, "no-pods", metav1.GetOptions{})
		return err == nil && len(q.Status.Hard) > 0
	})
	return func() {
		if err := quotas.Delete(ctx, "no-pods", metav1.DeleteOptions{}); err != nil {
			s.t.Fatal(err)
		}
	}
}

// secrets returns the Secrets in the jobs' namespace.
func (s *site) secrets(selector string) []corev1.Secret {
	list, err := ground.api.CoreV1().Secrets(s.namespace).List(context.Background(), metav1.ListOptions{LabelSelector: selector})
	if err != nil {
		s.t.Fatal(err)
	}
	return list.Items
}

// startedRecords returns the records of jobs whose pods have been made.
func (s *site) startedRecords() (started []corev1.Secret) {
	for _, r := range s.secrets("runnerd.io/record") {
		if r.Annotations["runnerd.io/started"] != "" {
			started = append(started, r)
		}
	}
	return started
}
