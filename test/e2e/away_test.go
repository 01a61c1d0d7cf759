//go:build e2e

package e2e

import (
	"fmt"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/runnerd/runnerd/internal/standin"
)

const (
	undelivered = "runnerd_undelivered_results"
	unconfirmed = "runnerd_unconfirmed_log_bytes"
)

// metric sums up a metric's series that have all the labels, written as name="value".
func (s *site) metric(name string, labels ...string) float64 {
	s.t.Helper()
	text, err := s.get("/metrics")
	if err != nil {
		s.t.Fatal(err)
	}
	sum := 0.0
lines:
	for _, m := range regexp.MustCompile(`(?m)^`+name+`\{([^}]*)\} (\S+)$`).FindAllStringSubmatch(text, -1) {
		for _, label := range labels {
			if !strings.Contains(m[1], label) {
				continue lines
			}
		}
		value, err := strconv.ParseFloat(m[2], 64)
		if err != nil {
			s.t.Fatal(err)
		}
		sum += value
	}
	return sum
}

// resident is the daemon's memory in bytes.
func (s *site) resident() int64 {
	s.t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.daemon.Process.Pid))
	if err != nil {
		s.t.Fatal(err)
	}
	m := regexp.MustCompile(`VmRSS:\s+(\d+) kB`).FindSubmatch(text)
	kib, err := strconv.ParseInt(string(m[1]), 10, 64)
	if err != nil {
		s.t.Fatal(err)
	}
	return kib << 10
}

type outage struct {
	name  string
	fault standin.Fault
	hits  int // requests that have to have met it
}

// outages are the ways in which a GitLab is away.
var outages = []outage{
	{"maintenance page", standin.Fault{Status: http.StatusServiceUnavailable, Body: "<html><h1>GitLab is under maintenance</h1></html>"}, 12},
	{"bad gateway", standin.Fault{Status: http.StatusBadGateway}, 12},
	{"reset", standin.Fault{Reset: true}, 4},
	{"no answer", standin.Fault{Delay: forever}, 1},
}

// TestGitLabAway: whatever a GitLab that is away answers, jobs go on, and their logs
// and results are delivered when it is back.
func TestGitLabAway(t *testing.T) {
	t.Parallel()
	outlive(t, outages)
}

// TestGitLabBehindADefaultBackend: an ingress that has lost its GitLab answers 404, and
// that is not GitLab's word.
func TestGitLabBehindADefaultBackend(t *testing.T) {
	t.Parallel()
	outlive(t, []outage{
		{"default backend", standin.Fault{Status: http.StatusNotFound, Body: "<html>default backend - 404</html>"}, 4},
	})
}

// outlive has one job meet each outage.
func outlive(t *testing.T, outages []outage) {
	s := start(t, options{concurrent: len(outages)})
	jobs := make([]*standin.Job, len(outages))
	faults := make([]*standin.Injected, len(outages))
	for i, o := range outages {
		jobs[i] = s.add(standin.JobSpec{Name: o.name, Script: []string{"echo begun; sleep 6", countCommand}})
	}
	early := s.withhold("success")
	for i, o := range outages {
		s.until(jobs[i], "its script", logHas("\nbegun\n"))
		fault := o.fault
		fault.Job, fault.Times = jobs[i].ID(), -1
		faults[i] = s.gitlab.Inject(fault)
	}
	early.Remove()
	wait(t, "all results to wait for GitLab", func() bool { return s.metric(undelivered) == float64(len(outages)) })
	for i, o := range outages {
		wait(t, o.name+" to be met often enough", func() bool { return faults[i].Hits() >= o.hits })
		if state := jobs[i].State(); state != standin.Running {
			t.Errorf("%s: the job is %s at GitLab", o.name, state)
		}
	}
	if age := s.metric(undelivered + "_oldest_seconds"); age <= 0 {
		t.Errorf("the oldest result waits for %v s", age)
	}
	if held := s.metric(unconfirmed); held == 0 {
		t.Error("no bytes are said to be unconfirmed")
	}
	for i, o := range outages {
		faults[i].Remove()
		s.finish(jobs[i], standin.Success)
		if got, want := section(t, jobs[i].Text(), "step_script"), scriptSection("begun\n"+commandLine(countCommand)+counted(), "echo begun; sleep 6"); got != want {
			t.Errorf("%s: script section = %q, want %q", o.name, got, want)
		}
	}
	wait(t, "no result to wait any more", func() bool { return s.metric(undelivered) == 0 && s.metric(unconfirmed) == 0 })
}

// withhold keeps the results of jobs that end too early for their test.
func (s *site) withhold(state string) *standin.Injected {
	return s.gitlab.Inject(standin.Fault{Endpoint: standin.UpdateJob, State: state, Times: -1, Status: http.StatusServiceUnavailable})
}

func commandLine(command string) string { return "\x1b[32;1m$ " + command + "\x1b[0;m\n" }

// TestGitLabAwayWithALongLog: the daemon keeps what it has room for and reads no
// further; the rest waits in the pod.
func TestGitLabAwayWithALongLog(t *testing.T) {
	t.Parallel()
	const (
		memory, disk = 256 << 10, 32 << 20 // as in docs/architecture.md
		lines        = 720000              // of 48 bytes
		show         = `seq -f "%08.0f abcdefghijklmnopqrstuvwxyz 0123456789" 1 `
	)
	// The log catches up a MiB an interval, and at once when the job has ended. A pause
	// between those last pieces, as on a slow machine, the stand-in takes for a job that
	// goes on, and then minds the pieces before (14.26).
	s := start(t, options{
		gitlab: standin.Options{TraceInterval: time.Second, Allow: []string{"14.26"}}, runner: "output_limit = 60000",
	})
	j := s.add(standin.JobSpec{Name: "long", Script: []string{"echo begun; sleep 3", show + strconv.Itoa(lines), "echo end"}})
	s.until(j, "its script", logHas("\nbegun\n"))
	fault := s.gitlab.Inject(standin.Fault{Job: j.ID(), Times: -1, Status: http.StatusBadGateway})
	wait(t, "all room to be taken", func() bool { return s.metric(unconfirmed) >= memory+disk })
	wait(t, "the script to end", func() bool { return scriptEnded(s.pod(j)) })
	if got := s.metric(unconfirmed, `where="memory"`); got > memory {
		t.Errorf("%v bytes of the log are in memory", got)
	}
	if got := s.metric(unconfirmed, `where="disk"`); got > disk {
		t.Errorf("%v bytes of the log are on disk", got)
	}
	if got := s.resident(); got > 150<<20 {
		t.Errorf("the daemon has %d MiB of memory", got>>20)
	}
	fault.Remove()
	s.until(j, "the end of its script", logHas("\nend\n"))
	s.finish(j, standin.Success)
	var want strings.Builder
	for i := 1; i <= lines; i++ {
		fmt.Fprintf(&want, "%08d abcdefghijklmnopqrstuvwxyz 0123456789\n", i)
	}
	if text := j.Text(); !strings.Contains(text, want.String()) || strings.Count(text, "\nend\n") != 1 {
		t.Errorf("the log of %d bytes does not hold the output of %d bytes as it is", len(text), want.Len())
	}
}

// scriptEnded reports whether the build container is over.
func scriptEnded(pod *corev1.Pod) bool {
	if pod == nil {
		return false
	}
	for _, c := range pod.Status.ContainerStatuses {
		if c.Name == "build" && c.State.Terminated != nil {
			return true
		}
	}
	return false
}

// TestGitLabAwayAcrossRestarts: daemons end and start while GitLab is away; what they
// leave to one another is delivered when it is back.
func TestGitLabAwayAcrossRestarts(t *testing.T) {
	t.Parallel()
	k := &killed{site: start(t, options{global: "shutdown_timeout = 3600"})} // which is not waited for
	over := k.add(standin.JobSpec{Name: "over", Script: []string{"echo begun; sleep 2", "exit 3"}})
	goesOn := k.add(standin.JobSpec{Name: "goes on", Script: []string{"echo begun; sleep 30", countCommand}})
	early := k.withhold("failed")
	for _, j := range []*standin.Job{over, goesOn} {
		k.until(j, "its script", logHas("\nbegun\n"))
	}
	fault := k.gitlab.Inject(standin.Fault{Times: -1, Status: http.StatusServiceUnavailable, Body: "<html>maintenance</html>"})
	early.Remove()
	waiting := func(n float64) {
		t.Helper()
		wait(t, fmt.Sprintf("%v results to wait for GitLab", n), func() bool { return k.metric(undelivered) == n })
	}
	waiting(1)
	if err := k.daemon.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-k.exited:
		if err != nil {
			t.Errorf("the daemon ended with %v, want exit code 0", err)
		}
	case <-time.After(patience):
		t.Fatal("the daemon does not end while a result waits for GitLab")
	}
	k.gitlab.ExpectRestart()
	k.startDaemon()
	waiting(2) // the other job ends meanwhile
	k.kill()
	k.startDaemon()
	waiting(2)
	fault.Remove()
	k.finish(over, standin.Failed)
	k.finish(goesOn, standin.Success)
	waiting(0)
	if over.FailureReason() != "script_failure" || over.ExitCode() != 3 {
		t.Errorf("the job that was over: %s, exit code %d", over.FailureReason(), over.ExitCode())
	}
	if got, want := section(t, goesOn.Text(), "step_script"), scriptSection("begun\n"+commandLine(countCommand)+counted(), "echo begun; sleep 30"); got != want {
		t.Errorf("script section = %q, want %q", got, want)
	}
	for _, j := range []*standin.Job{over, goesOn} {
		if n := strings.Count(j.Text(), "Running with runnerd"); n != 1 {
			t.Errorf("job %s: the log begins %d times", j.Name(), n)
		}
	}
}
