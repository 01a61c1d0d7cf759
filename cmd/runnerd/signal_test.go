package main

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/runnerd/runnerd/internal/standin"
)

// A process is a runnerd with its own pid, so that it can be sent signals.
type process struct {
	*site
	cmd *exec.Cmd
	log *logText
}

func (s *site) spawn(text string) *process {
	s.Helper()
	s.write(text)
	p := &process{site: s, log: newLogText(), cmd: exec.CommandContext(s.ctx, "runnerd", "run", "--config", s.path())}
	p.cmd.Stderr = io.MultiWriter(p.log, s.Output())
	if err := p.cmd.Start(); err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() {
		if p.cmd.ProcessState == nil { // the test has failed
			_ = p.cmd.Process.Kill()
			_ = p.cmd.Wait()
		}
	})
	return p
}

func (p *process) send(s syscall.Signal) {
	p.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.Fatal(err)
	}
}

// hears sends a signal and waits for what the log then says.
func (p *process) hears(s syscall.Signal, says string) {
	p.Helper()
	p.send(s)
	if !p.log.until(p.ctx, says, 1) {
		p.Fatalf("after %v the log does not say %q", s, says)
	}
}

// exits waits for the process and compares its exit code.
func (p *process) exits(want int) {
	p.Helper()
	var exit *exec.ExitError
	if err := p.cmd.Wait(); err != nil && !errors.As(err, &exit) {
		p.Fatal(err)
	}
	if got := p.cmd.ProcessState.ExitCode(); got != want {
		p.Errorf("exit code %d (%v), want %d", got, p.cmd.ProcessState, want)
	}
}

func TestSIGQUIT(t *testing.T) {
	t.Parallel()
	s := newSite(t, standin.Options{RequestConcurrency: 1, Concurrent: 2}, standin.RunnerSpec{})
	p := s.spawn(s.configText("concurrent = 2"))
	g := s.gate()
	j := s.gitlab.AddJob(standin.JobSpec{Script: g.script(), AfterScript: []string{"echo after"}})
	s.prints(j, "waiting")
	p.hears(syscall.SIGQUIT, "draining")
	late := s.gitlab.AddJob(standin.JobSpec{Name: "late"})
	s.open(g)
	s.ends(j, standin.Success, "")
	s.says(j, "\nafter\n")
	p.exits(exitOK)
	if late.State() != standin.Pending {
		t.Errorf("a job that came behind the signal is %s, want pending", late.State())
	}
	leaveNothing(s)
}

func TestSIGTERM(t *testing.T) {
	t.Parallel()
	s := newSite(t, standin.Options{RequestConcurrency: 1, Concurrent: 1}, standin.RunnerSpec{})
	p := s.spawn(s.configText(""))
	j := s.gitlab.AddJob(standin.JobSpec{Script: s.gate().script()})
	s.prints(j, "waiting")
	p.send(syscall.SIGTERM)
	s.ends(j, standin.Failed, "runner_interrupted")
	p.exits(exitOK)
	leaveNothing(s)
}

// TestSecondSIGTERM: while GitLab does not answer, a second signal ends what
// the first one waits for.
func TestSecondSIGTERM(t *testing.T) {
	t.Parallel()
	s := newSite(t, standin.Options{}, standin.RunnerSpec{})
	p := s.spawn(s.configText("shutdown_timeout = 3600"))
	j := s.gitlab.AddJob(standin.JobSpec{Script: s.gate().script()})
	s.prints(j, "waiting")
	s.gitlab.Inject(standin.Fault{Endpoint: standin.UpdateJob, Times: -1, Reset: true})
	p.hears(syscall.SIGTERM, "running jobs are interrupted")
	p.hears(syscall.SIGTERM, "ending at once")
	p.exits(exitFailure)
}

// TestShutdownTimeout: GitLab does not answer, and the daemon ends all the same.
func TestShutdownTimeout(t *testing.T) {
	t.Parallel()
	s := newSite(t, standin.Options{}, standin.RunnerSpec{})
	p := s.spawn(s.configText("shutdown_timeout = 1"))
	j := s.gitlab.AddJob(standin.JobSpec{Script: s.gate().script()})
	s.prints(j, "waiting")
	s.gitlab.Inject(standin.Fault{Endpoint: standin.UpdateJob, Times: -1, Reset: true})
	p.hears(syscall.SIGTERM, "job result not delivered")
	if err := p.cmd.Wait(); err != nil {
		var exit *exec.ExitError
		if !errors.As(err, &exit) || exit.ExitCode() != exitFailure {
			t.Error(err)
		}
	}
}

func TestSIGHUP(t *testing.T) {
	t.Parallel()
	s := newSite(t, standin.Options{}, standin.RunnerSpec{})
	p := s.spawn("log_level = \"info\"\n")
	if !p.log.until(s.ctx, "runnerd started", 1) {
		t.Fatal("the daemon does not start")
	}
	s.write(s.configText(""))
	p.hears(syscall.SIGHUP, "configuration reloaded")
	s.ends(s.gitlab.AddJob(standin.JobSpec{}), standin.Success, "")
	p.send(syscall.SIGTERM)
	p.exits(exitOK)
}

// The demo's second run finds the caches of the first.
func TestDemo(t *testing.T) {
	t.Parallel()
	caches := t.TempDir()
	for _, want := range [][]string{
		{"building parser", "the deploy token is [MASKED]", "denied by allowed_images", "Cache parts-non_protected: miss", "Created cache"},
		{"parser is in the cache", "Cache parts-non_protected: hit", "nothing sent"},
	} {
		var out bytes.Buffer
		cmd := exec.CommandContext(t.Context(), "runnerd", "demo")
		cmd.Stdout, cmd.Stderr = &out, &out
		cmd.Env = append(os.Environ(), "XDG_CACHE_HOME="+caches)
		if err := cmd.Run(); err != nil {
			t.Fatalf("%v:\n%s", err, &out)
		}
		for _, text := range want {
			if !strings.Contains(out.String(), text) {
				t.Errorf("the demo does not show %q:\n%s", text, &out)
			}
		}
	}
}
