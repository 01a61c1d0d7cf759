//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/runnerd/runnerd/internal/standin"
)

// replica starts a second daemon with the same token: a manager of its own.
func (s *site) replica() *site {
	s.t.Helper()
	dir := s.t.TempDir()
	text, err := os.ReadFile(s.config)
	if err != nil {
		s.t.Fatal(err)
	}
	other := *s
	other.config = filepath.Join(dir, "config.toml")
	if err := os.WriteFile(other.config, text, 0o600); err != nil {
		s.t.Fatal(err)
	}
	if other.log, err = os.Create(filepath.Join(dir, "runnerd.log")); err != nil {
		s.t.Fatal(err)
	}
	other.startDaemon()
	s.t.Cleanup(other.stopDaemon)
	return &other
}

// stopDaemon has the daemon let go of its jobs and waits for its end.
func (s *site) stopDaemon() {
	s.t.Helper()
	if err := s.daemon.Process.Signal(syscall.SIGTERM); err != nil {
		s.t.Errorf("stop the daemon: %v", err)
		return
	}
	if err := <-s.exited; err != nil {
		s.t.Errorf("the daemon ended with %v, want exit code 0", err)
	}
}

// counting is a job that prints numbered lines for about so many seconds.
func counting(name string, seconds int) standin.JobSpec {
	return standin.JobSpec{Name: name, Script: []string{fmt.Sprintf(`for i in $(seq 1 %d); do echo "line $i"; sleep 0.1; done`, seconds*10)}}
}

// checkCount checks that the job's log has so many numbered lines, in order, once.
func checkCount(t testing.TB, j *standin.Job, lines int) {
	t.Helper()
	var want strings.Builder
	for i := 1; i <= lines; i++ {
		fmt.Fprintf(&want, "line %d\n", i)
	}
	if !strings.Contains(j.Text(), "\n"+want.String()) || strings.Count(j.Text(), "\nline ") != lines {
		t.Errorf("the log does not hold the lines 1 to %d once, in order:\n%s", lines, j.Text())
	}
}

// taken waits until one of the jobs runs at each of two daemons, and returns the
// job of the first.
func taken(t testing.TB, a, b *site, jobs []*standin.Job) (*standin.Job, *standin.Job) {
	t.Helper()
	var first, second *standin.Job
	wait(t, "a job at each replica", func() bool {
		first, second = nil, nil
		for _, j := range jobs {
			switch {
			case !strings.Contains(j.Text(), "\nline 5\n"):
			case strings.Contains(a.daemonLog(), fmt.Sprintf(`"job":%d,`, j.ID())):
				first = j
			default:
				second = j
			}
		}
		return first != nil && second != nil
	})
	return first, second
}

// TestReplicaDies: the jobs of a replica that is killed are gone on with by the
// other within 30 seconds, and each log is exact.
func TestReplicaDies(t *testing.T) {
	a := start(t, options{concurrent: 1, gitlab: standin.Options{Concurrent: 2, TraceInterval: time.Second}})
	b := a.replica()
	jobs := []*standin.Job{a.add(counting("one", 30)), a.add(counting("two", 30))}
	first, second := taken(t, a, b, jobs)
	k := &killed{site: a}
	k.kill()
	died := time.Now()
	wait(t, "the other to adopt the job", func() bool { return strings.Contains(b.daemonLog(), `"job adopted"`) })
	t.Logf("adopted after %v", time.Since(died))
	if took := time.Since(died); took > 30*time.Second {
		t.Errorf("adopted after %v, want 30 s at most", took)
	}
	for _, j := range []*standin.Job{first, second} {
		k.finish(j, standin.Success)
		checkCount(t, j, 300)
	}
	a.startDaemon()
}

// TestReplicaStops: a replica that is asked to stop hands its jobs to the other at
// once.
func TestReplicaStops(t *testing.T) {
	t.Parallel()
	a := start(t, options{concurrent: 1, gitlab: standin.Options{Concurrent: 2, TraceInterval: time.Second}})
	b := a.replica()
	jobs := []*standin.Job{a.add(counting("one", 20)), a.add(counting("two", 20))}
	first, second := taken(t, a, b, jobs)
	a.stopDaemon()
	a.gitlab.ExpectRestart()
	wait(t, "the other to adopt the job", func() bool { return strings.Contains(b.daemonLog(), `"job adopted"`) })
	k := &killed{site: a}
	for _, j := range []*standin.Job{first, second} {
		k.finish(j, standin.Success)
		checkCount(t, j, 200)
	}
	a.startDaemon()
}

// TestReplicaComesBack: a replica that stood still for longer than its Lease lasts
// finds its job taken, and leaves it alone.
func TestReplicaComesBack(t *testing.T) {
	t.Parallel()
	a := start(t, options{concurrent: 1, gitlab: standin.Options{Concurrent: 2, TraceInterval: time.Second}})
	b := a.replica()
	jobs := []*standin.Job{a.add(counting("one", 30)), a.add(counting("two", 30))}
	first, second := taken(t, a, b, jobs)
	if err := a.daemon.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	a.gitlab.ExpectRestart() // b begins where a has left off
	wait(t, "the other to adopt the job", func() bool { return strings.Contains(b.daemonLog(), `"job adopted"`) })
	if err := a.daemon.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	wait(t, "the first to let go of it", func() bool { return strings.Contains(a.daemonLog(), `"job left to the next runnerd"`) })
	k := &killed{site: a}
	for _, j := range []*standin.Job{first, second} {
		k.finish(j, standin.Success)
		checkCount(t, j, 300)
	}
	if strings.Contains(b.daemonLog(), `"job left to the next runnerd"`) {
		t.Error("the second replica let go of a job")
	}
	third := a.add(counting("three", 1))
	k.finish(third, standin.Success)
	leases, err := ground.api.CoordinationV1().Leases(a.namespace).List(context.Background(), metav1.ListOptions{})
	if err != nil || len(leases.Items) != 2 {
		t.Errorf("%d Leases (%v), want one for each replica", len(leases.Items), err)
	}
}
