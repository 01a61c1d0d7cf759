package agent_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/runnerd/runnerd/pkg/job"
)

var canceledOutcome = job.Outcome{State: job.Canceled, Reason: job.JobCanceled, Message: "canceled"}

func TestCancelDuringScript(t *testing.T) {
	t.Parallel()
	p := newPod(t, "echo started; sleep 60", "echo not reached")
	p.addAfterScript("echo after $CI_JOB_STATUS")
	p.onLog = once("\nstarted\n", func(p *pod) { p.tell("signal", "cancel") })
	wantOutcome(t, p.run(), canceledOutcome)
	p.wants("started", "WARNING: script canceled externally (UI, API)", "after canceled", "ERROR: Job failed: canceled")
	p.wantsNot("\nnot reached")
	canceling := 0
	for _, e := range p.events {
		if e.Canceling {
			canceling++
		}
	}
	if canceling != 1 {
		t.Errorf("%d events say that the job is canceling, want 1", canceling)
	}
}

func TestCancelOfAScriptThatDoesNotFail(t *testing.T) {
	t.Parallel()
	p := newPod(t, "trap 'exit 0' TERM; echo started; sleep 60")
	p.onLog = once("\nstarted\n", func(p *pod) { p.tell("signal", "cancel") })
	wantOutcome(t, p.run(), canceledOutcome)
}

func TestCancelOfAScriptThatIgnoresIt(t *testing.T) {
	t.Parallel()
	p := newPod(t, "trap '' TERM; echo started; while sleep 1; do :; done")
	p.addAfterScript("echo after $CI_JOB_STATUS")
	p.onLog = once("\nstarted\n", func(p *pod) { p.tell("signal", "cancel") })
	wantOutcome(t, p.run(), canceledOutcome)
	p.wants("after canceled")
}

func TestCancelDuringAfterScriptChangesNothing(t *testing.T) {
	t.Parallel()
	p := newPod(t, "true")
	p.addAfterScript("echo after; until test -e go; do sleep 0.02; done", "echo end")
	cancel := once("\nafter\n", func(p *pod) { p.tell("signal", "cancel") })
	p.onLog = func(p *pod, log string) {
		cancel(p, log)
		if n := len(p.events); n > 0 && p.events[n-1].Canceling {
			if err := os.WriteFile(p.helper.ProjectDir+"/go", nil, 0o644); err != nil {
				t.Error(err)
			}
		}
	}
	wantOutcome(t, p.run(), exited(0))
	p.wants("after", "end")
}

func TestCancelBeforeTheBuildStarts(t *testing.T) {
	t.Parallel()
	p := newPod(t, "true")
	p.addAfterScript("true")
	p.noBuild = true
	p.onLog = once("Skipping Git submodules", func(p *pod) { p.tell("signal", "cancel") })
	wantOutcome(t, p.run(), canceledOutcome)
	if want := "prepare_script get_sources cleanup_file_variables"; p.phases() != want {
		t.Errorf("phases %q, want %q", p.phases(), want)
	}
}

func TestStop(t *testing.T) {
	t.Parallel()
	p := newPod(t, "trap '' TERM; echo started; while sleep 1; do :; done")
	p.addAfterScript("echo after")
	p.onLog = once("\nstarted\n", func(p *pod) { p.tell("signal", "stop") })
	began := time.Now()
	if got := p.run(); got.State != job.Canceled {
		t.Errorf("outcome %+v, want canceled", got.Outcome)
	}
	if took := time.Since(began); took > 4*time.Second {
		t.Errorf("stopping took %s, want no grace", took)
	}
	p.wantsNot("\nafter\n")
}

func TestJobTimeout(t *testing.T) {
	t.Parallel()
	p := newPod(t, "echo started; sleep 60")
	p.addAfterScript("echo after")
	p.helper.Timeout = time.Second
	wantOutcome(t, p.run(), job.Outcome{State: job.Failed, Reason: job.JobExecutionTimeout, Message: "execution took longer than 1s seconds"})
	p.wants("started", "ERROR: Job failed: execution took longer than 1s seconds")
	p.wantsNot("\nafter\n")
	if !strings.Contains(p.text(), "could not run to completion because the timeout was exceeded") {
		t.Errorf("log says nothing of the timeout:\n%s", p.text())
	}
}

func TestScriptTimeout(t *testing.T) {
	t.Parallel()
	p := newPod(t, "echo started; sleep 60")
	p.addAfterScript("echo after $CI_JOB_STATUS")
	p.helper.Steps[0].Timeout = time.Second
	got := p.run()
	if got.Reason != job.JobExecutionTimeout || got.State != job.Failed {
		t.Errorf("outcome %+v, want a timeout", got.Outcome)
	}
	p.wants("started", "after timedout")
}

func TestAfterScriptTimeout(t *testing.T) {
	t.Parallel()
	p := newPod(t, "true")
	p.addAfterScript("echo after; sleep 60")
	p.helper.Steps[1].Timeout = time.Second
	wantOutcome(t, p.run(), exited(0))
	p.wants("after", "WARNING: after_script failed, but job will continue unaffected: after_script took longer than 1s (RUNNER_AFTER_SCRIPT_TIMEOUT)")
}

func TestClusterStopsThePod(t *testing.T) {
	want := job.Outcome{State: job.Failed, Reason: job.RunnerSystemFailure, Message: "pod was asked to stop by the cluster"}
	for name, signal := range map[string]func(*pod){
		"helper first": func(p *pod) { p.helperCmd.Process.Signal(syscall.SIGTERM) },
		"build first":  func(p *pod) { p.buildCmd.Process.Signal(syscall.SIGTERM) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPod(t, "echo started; sleep 60")
			p.addAfterScript("echo after")
			p.onLog = once("\nstarted\n", signal)
			got := p.run()
			wantOutcome(t, got, want)
			if !got.Stopped || got.Unbegun {
				t.Errorf("result %+v, want that the cluster stopped a script", got)
			}
			p.wantsNot("\nafter\n")
		})
	}
}

// Before a script has begun it is for the daemon to say what becomes of the job.
func TestClusterStopsThePodBeforeTheScript(t *testing.T) {
	t.Parallel()
	s := newGitServer(t)
	sha := s.repo("group/project", map[string]string{"README": "hello\n"})
	p := newPod(t, "echo the script ran")
	p.helper.Sources = s.sources("group/project", sha)
	p.helper.Sources.PreHooks = []string{"echo hook begun; sleep 60"}
	p.onLog = once("\nhook begun\n", func(p *pod) { p.helperCmd.Process.Signal(syscall.SIGTERM) })
	got := p.run()
	wantOutcome(t, got, job.Outcome{State: job.Failed, Reason: job.RunnerSystemFailure, Message: "pod was asked to stop by the cluster"})
	if !got.Unbegun {
		t.Error("the result does not say that no script began")
	}
	p.wantsNot("the script ran")
}

func TestBuildContainerDies(t *testing.T) {
	t.Parallel()
	p := newPod(t, "echo started; sleep 60 & echo $! > pid; wait")
	p.addAfterScript("echo after")
	p.onLog = once("\nstarted\n", func(p *pod) { p.buildCmd.Process.Kill() })
	t.Cleanup(func() {
		text, _ := os.ReadFile(p.helper.ProjectDir + "/pid")
		if pid, err := strconv.Atoi(strings.TrimSpace(string(text))); err == nil {
			syscall.Kill(pid, syscall.SIGKILL)
		}
	})
	got := p.run()
	wantOutcome(t, got, job.Outcome{State: job.Failed, Reason: job.RunnerSystemFailure, Message: "the build container ended while the script ran"})
	if !got.BuildGone {
		t.Error("the result does not say that the build container is gone")
	}
}

// A kubelet may start a second build container beside the first: it waits, and the
// first one's script goes on.
func TestSecondBuildContainer(t *testing.T) {
	t.Parallel()
	p := newPod(t, "echo started; while ! test -e go; do sleep 0.02; done; echo end")
	p.addAfterScript("echo after")
	var second *exec.Cmd
	var waiting sync.WaitGroup
	p.onLog = once("\nstarted\n", func(p *pod) {
		second = exec.Command(p.buildCmd.Path, p.buildCmd.Args[1:]...)
		second.Env = p.buildCmd.Env
		if err := second.Start(); err != nil {
			p.t.Error(err)
			return
		}
		waiting.Go(func() { // until it has the shared directory open
			fds := fmt.Sprintf("/proc/%d/fd", second.Process.Pid)
			tick, late := time.NewTicker(10*time.Millisecond), time.After(time.Minute)
			defer tick.Stop()
			for waits := true; waits && !opened(fds, p.path("share", "handover")); {
				select {
				case <-tick.C:
				case <-late:
					p.t.Error("the second build process does not look for the first")
					waits = false
				}
			}
			if err := os.WriteFile(p.helper.ProjectDir+"/go", nil, 0o644); err != nil {
				p.t.Error(err)
			}
		})
	})
	wantOutcome(t, p.run(), exited(0))
	p.wants("started", "end", "after")
	waiting.Wait()
	if err := second.Wait(); err != nil {
		t.Errorf("the second build process: %v", err)
	}
}

// opened reports whether one of a process's open files, listed in fds, is path. A
// process that is gone has opened it as well.
func opened(fds, path string) bool {
	list, err := os.ReadDir(fds)
	if err != nil {
		return true
	}
	return slices.ContainsFunc(list, func(fd os.DirEntry) bool {
		to, err := os.Readlink(filepath.Join(fds, fd.Name()))
		return err == nil && to == path
	})
}

// A build container that finds a step begun by one that is gone does not run it again.
func TestBuildContainerStartedAgain(t *testing.T) {
	t.Parallel()
	p := newPod(t, "echo started")
	begun := p.path("share", "handover", "step-0.log")
	if err := errors.Join(os.Mkdir(filepath.Dir(begun), 0o777), os.WriteFile(begun, nil, 0o644)); err != nil {
		t.Fatal(err)
	}
	wantOutcome(t, p.run(), job.Outcome{
		State: job.Failed, Reason: job.RunnerSystemFailure,
		Message: "step_script: the node has started the build container again while the script ran, and no script is run twice",
	})
	p.wantsNot("\nstarted\n")
}

// A helper that is not the job's first ends it; if no script has begun the daemon may
// make another pod.
func TestHelperStartedAgain(t *testing.T) {
	for name, tt := range map[string]struct {
		left    []string // by the first
		unbegun bool
	}{
		"before the script": {[]string{"helper.lock"}, true},
		"in the script":     {[]string{"helper.lock", "claim"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPod(t, "echo started")
			p.noBuild = true
			for _, file := range tt.left {
				path := p.path("share", "handover", file)
				if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o777), os.WriteFile(path, nil, 0o644)); err != nil {
					t.Fatal(err)
				}
			}
			got := p.run()
			wantOutcome(t, got, job.Outcome{State: job.Failed, Reason: job.RunnerSystemFailure, Message: "the node has started the helper container again"})
			if got.Unbegun != tt.unbegun || got.Stopped != tt.unbegun {
				t.Errorf("result %+v, want unbegun %v", got, tt.unbegun)
			}
			p.wantsNot("Preparing environment")
		})
	}
}

// The first helper, if it lives, begins no script then.
func TestSupersededHelper(t *testing.T) {
	t.Parallel()
	p := newPod(t, "echo started")
	claim := p.path("share", "handover", "claim")
	if err := errors.Join(os.Mkdir(filepath.Dir(claim), 0o777), os.WriteFile(claim, nil, 0o644)); err != nil {
		t.Fatal(err)
	}
	got := p.run()
	wantOutcome(t, got, job.Outcome{State: job.Failed, Reason: job.RunnerSystemFailure, Message: "the node has started the helper container again"})
	if !got.Unbegun {
		t.Error("the result does not say that no script began")
	}
	p.wantsNot("\nstarted\n")
}

func TestHelperDies(t *testing.T) {
	t.Parallel()
	p := newPod(t, "echo $$ > $CI_PROJECT_DIR/pid; echo started; sleep 60")
	p.build.Variables = []job.Variable{{Key: "CI_PROJECT_DIR", Value: p.build.ProjectDir}}
	p.runHelperToDeath("\nstarted\n")
	pid, err := os.ReadFile(p.path("builds", "group", "project", "pid"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat("/proc/" + strings.TrimSpace(string(pid))); err == nil {
		t.Error("the script outlives helper and build agent")
	}
}

func TestUnknownPlanVersion(t *testing.T) {
	t.Parallel()
	p := newPod(t, "true")
	p.build.Version = 99
	got := p.run()
	if got.Reason != job.RunnerSystemFailure || !strings.Contains(got.Message, "version 99") {
		t.Errorf("outcome %+v, want one that names version 99", got.Outcome)
	}
}

func TestResend(t *testing.T) {
	t.Parallel()
	p := newPod(t, "echo started; while ! test -e go; do sleep 0.02; done; echo end")
	p.onLog = once("\nstarted\n", func(p *pod) { p.tell("resend", "2 a") })
	p.onResent = func(p *pod) {
		if err := os.WriteFile(p.helper.ProjectDir+"/go", nil, 0o644); err != nil {
			p.t.Error(err)
		}
	}
	wantOutcome(t, p.run(), exited(0))
	if p.resent == 0 {
		t.Error("no frame came again")
	}
}

func TestTerminationLog(t *testing.T) {
	t.Parallel()
	p := newPod(t, "exit 5")
	if err := os.WriteFile(p.path("termination-log"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	wantOutcome(t, p.run(), exited(5))
	text, err := os.ReadFile(p.path("termination-log"))
	if err != nil || !strings.Contains(string(text), `"exit_code":5`) {
		t.Errorf("termination log %q, %v", text, err)
	}
}

// TestStopAfterCancel: a forced cancel always comes after a graceful one.
func TestStopAfterCancel(t *testing.T) {
	t.Parallel()
	p := newPod(t, "trap '' TERM; echo started; while sleep 1; do :; done")
	p.addAfterScript("echo after")
	cancel := once("\nstarted\n", func(p *pod) { p.tell("signal", "cancel") })
	stop := once("canceled externally", func(p *pod) { p.tell("signal", "stop") })
	p.onLog = func(p *pod, log string) {
		cancel(p, log)
		stop(p, log)
	}
	began := time.Now()
	if got := p.run(); got.State != job.Canceled {
		t.Errorf("outcome %+v, want canceled", got.Outcome)
	}
	if took := time.Since(began); took > 4*time.Second {
		t.Errorf("stopping took %s, want no grace", took)
	}
	p.wantsNot("\nafter\n")
}

// TestLostEndIsSentAgain: the node's container runtime may lose what it has just
// read. When the end is lost, nobody could know without another frame.
func TestLostEndIsSentAgain(t *testing.T) {
	t.Parallel()
	p := newPod(t, "echo hello")
	p.helper.Stays = time.Hour
	p.onResult = func(*pod) {} // it is lost
	p.onResent = func(p *pod) {
		if p.lastResent != p.lastSeq {
			t.Errorf("frame %d came again, want the last one, %d", p.lastResent, p.lastSeq)
		}
		p.tell("resend", "1 a")
		p.onResent = func(p *pod) { // whatever else is repeated comes behind
			if p.lastResent == 1 {
				p.delete()
			}
		}
	}
	wantOutcome(t, p.run(), exited(0))
	if p.lastResent == 0 {
		t.Error("no frame came again")
	}
}

func TestHelperStaysNoLongerThanItIsTo(t *testing.T) {
	t.Parallel()
	for _, stays := range []time.Duration{0, time.Second} {
		p := newPod(t, "echo hello")
		p.helper.Stays = stays
		p.onResult = func(*pod) {}
		wantOutcome(t, p.run(), exited(0))
	}
}

// TestLongLogCanBeSentAgainAfterTheResult: a daemon that is far behind may find
// that the node has thrown a part of the stream away.
func TestLongLogCanBeSentAgainAfterTheResult(t *testing.T) {
	t.Parallel()
	p := newPod(t, "head -c 2000000 /dev/zero | tr '\\0' x | fold")
	p.onResult = func(p *pod) { p.tell("resend", "0 a") }
	p.onResent = (*pod).delete
	wantOutcome(t, p.run(), exited(0))
	if p.resent == 0 {
		t.Error("no frame came again")
	}
}
