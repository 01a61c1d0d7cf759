//go:build e2e

package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/runnerd/runnerd/internal/standin"
)

// TestUpgrade: jobs that run under the previous commit's daemon, with its agent in
// their pods, are gone on with by this one: one in its script, one that has ended and
// is not reported, and one that has no pod yet and gets one with this commit's agent.
func TestUpgrade(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		signal syscall.Signal
	}{{"SIGTERM", syscall.SIGTERM}, {"SIGKILL", syscall.SIGKILL}} {
		t.Run(tt.name, func(t *testing.T) {
			old := previous(t)
			k := &killed{site: start(t, options{binaries: old, gitlab: standin.Options{TraceInterval: time.Second}})}
			version := run(t, old.runnerd, "version")
			t.Logf("the previous daemon: %s", version)
			ended := k.endUnreported(tt.signal)
			k.running(standin.JobSpec{Name: "in its script", Script: []string{countCommand}}, "line 5")
			amid := k.job
			allow := k.forbidPods()
			waiting := k.add(standin.JobSpec{Name: "without a pod", Script: []string{countCommand}})
			k.until(waiting, "a line about what it waits for", logHas("exceeded quota"))

			if err := k.daemon.Process.Signal(tt.signal); err != nil {
				t.Fatal(err)
			}
			<-k.exited
			k.gitlab.ExpectRestart()
			allow()
			k.upgrade()
			for _, j := range []*standin.Job{amid, waiting} {
				k.job = j
				k.finish(j, standin.Success)
				k.checkLog(standin.Success)
			}
			if ended != nil {
				k.job = ended
				k.finish(ended, standin.Failed)
				k.checkLog(standin.Failed)
			}
			if n := strings.Count(k.daemonLog(), `"job adopted"`); n < 2 {
				t.Errorf("%d jobs were adopted:\n%s", n, k.daemonLog())
			}
		})
	}
}

// endUnreported leaves a job that has ended and of whose end GitLab does not know.
// A daemon that is asked to end would wait for GitLab's answer.
func (k *killed) endUnreported(by syscall.Signal) *standin.Job {
	if by != syscall.SIGKILL {
		return nil
	}
	holdEnd("failed")(k)
	j := k.add(standin.JobSpec{Name: "ended", Script: []string{countCommand, "exit 3"}})
	hit(k)
	return j
}

// upgrade starts this commit's daemon with the config of the previous one, but for
// the helper image.
func (k *killed) upgrade() {
	k.t.Helper()
	text, err := os.ReadFile(k.config)
	if err != nil {
		k.t.Fatal(err)
	}
	now := binaries{ground.runnerd, ground.helper}
	if err := os.WriteFile(k.config, []byte(strings.ReplaceAll(string(text), k.binaries.helper, now.helper)), 0o600); err != nil {
		k.t.Fatal(err)
	}
	k.binaries = now
	k.startDaemon()
}

// previous returns the previous commit's daemon and helper image. scripts/e2e has built it.
func previous(t *testing.T) binaries {
	t.Helper()
	dir := os.Getenv("RUNNERD_PREVIOUS")
	if dir == "" {
		t.Fatal("RUNNERD_PREVIOUS is not set: it is the folder that scripts/previous prints")
	}
	helper := run(t, ground.cluster, "images", "--name", ground.name, "--helper-agent", filepath.Join(dir, "runnerd-agent"))
	return binaries{runnerd: filepath.Join(dir, "runnerd"), helper: lastLine(helper)}
}

// run runs a program and returns what it printed.
func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(name, args...).Output()
	if err != nil {
		t.Fatalf("%s %s: %v", name, strings.Join(args, " "), err)
	}
	return strings.TrimSpace(string(out))
}
