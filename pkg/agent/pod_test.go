package agent_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/runnerd/runnerd/pkg/frame"
	"github.com/runnerd/runnerd/pkg/job"
)

// A pod is a helper and a build process that share directories, as the
// containers of a pod do.
type pod struct {
	t      testing.TB
	dir    string // holds everything below; open to all users
	helper job.HelperPlan
	build  job.BuildPlan

	env       []string                 // of both processes
	buildUser *syscall.Credential      // nil: the test's own
	noBuild   bool                     // there is no build process
	newPIDs   bool                     // each process is PID 1
	image     string                   // root directory of the build process; empty: the test's own
	onLog     func(p *pod, log string) // after each frame

	onResent func(p *pod) // when a frame comes again
	onResult func(p *pod) // when the result comes; nil: the pod is deleted

	helperCmd, buildCmd *exec.Cmd
	lastSeq             int64
	lastResent          int64
	resent              int
	log                 bytes.Buffer
	ending              int // where the log says how the job ended
	events              []job.Event
	stderr, buildErr    bytes.Buffer
}

// newPod returns a pod whose job runs script, without sources.
func newPod(t testing.TB, script ...string) *pod {
	t.Helper()
	dir, err := os.MkdirTemp("", "pod-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	for _, sub := range []string{"share", "builds", "plan", "control", "tmp"} {
		if err := os.Mkdir(filepath.Join(dir, sub), 0o777); err != nil {
			t.Fatal(err)
		}
	}
	for _, open := range []string{"", "share", "builds", "tmp"} {
		if err := os.Chmod(filepath.Join(dir, open), 0o777); err != nil {
			t.Fatal(err)
		}
	}
	builds := filepath.Join(dir, "builds")
	project := filepath.Join(builds, "group", "project")
	return &pod{
		t: t, dir: dir, lastSeq: -1, ending: -1,
		helper: job.HelperPlan{
			Version: job.PlanVersion, JobID: 42, Timeout: time.Hour, BuildsDir: builds, ProjectDir: project, TempDir: project + ".tmp",
			HostName: "manager-1", Sources: job.Sources{Strategy: job.StrategyEmpty, Attempts: 1, Checkout: true},
			Steps: []job.HelperStep{{Name: "script", Phase: "step_script", Title: `Executing "step_script" stage of the job script`}},
		},
		build: job.BuildPlan{
			Version: job.PlanVersion, ProjectDir: project, TempDir: project + ".tmp", EnvFile: project + ".tmp/gitlab_runner_env",
			Steps: []job.BuildStep{{Name: "script", Script: script}},
		},
	}
}

func (p *pod) addAfterScript(lines ...string) {
	p.helper.Steps = append(p.helper.Steps, job.HelperStep{Name: "after_script", Phase: "after_script", Title: "Running after_script", After: true, Timeout: 5 * time.Minute})
	p.build.Steps = append(p.build.Steps, job.BuildStep{Name: "after_script", Script: lines, Announce: "Running after script..."})
}

func (p *pod) path(elem ...string) string { return filepath.Join(append([]string{p.dir}, elem...)...) }

func (p *pod) writePlan(name string, plan any) string {
	p.t.Helper()
	text, err := job.EncodePlan(plan)
	if err != nil {
		p.t.Fatal(err)
	}
	path := p.path("plan", name)
	if err := os.WriteFile(path, text, 0o644); err != nil {
		p.t.Fatal(err)
	}
	return path
}

// tell writes a file of the control directory, as the kubelet does.
func (p *pod) tell(name, value string) {
	aside := p.path("control", "."+name)
	if err := errors.Join(os.WriteFile(aside, []byte(value), 0o644), os.Rename(aside, p.path("control", name))); err != nil {
		p.t.Error(err)
	}
}

// start starts both processes and returns the helper's stdout.
func (p *pod) start() io.Reader {
	p.t.Helper()
	helperPlan, buildPlan := p.writePlan(job.HelperPlanFile, p.helper), p.writePlan(job.BuildPlanFile, p.build)
	p.helperCmd = exec.Command(agentBinary, "helper", "--plan", helperPlan, "--share", p.path("share"), "--control", p.path("control"))
	p.buildCmd = exec.Command(agentBinary, "build", "--plan", buildPlan, "--share", p.path("share"))
	base := []string{"PATH=" + os.Getenv("PATH"), "HOME=/nonexistent", "TMPDIR=" + p.path("tmp"), "GORACE=atexit_sleep_ms=0", "RUNNERD_TERMINATION_LOG=" + p.path("termination-log")}
	p.helperCmd.Env = append(base, p.env...)
	p.buildCmd.Env = append(base, p.env...)
	p.helperCmd.SysProcAttr = newPIDs(&syscall.SysProcAttr{}, p.newPIDs)
	p.buildCmd.SysProcAttr = newPIDs(&syscall.SysProcAttr{Credential: p.buildUser}, p.newPIDs)
	if p.image != "" {
		p.enterImage(p.buildCmd)
	}
	stdout, err := p.helperCmd.StdoutPipe()
	if err != nil {
		p.t.Fatal(err)
	}
	p.helperCmd.Stderr = &p.stderr
	p.buildCmd.Stderr = &p.buildErr
	if err := p.helperCmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	if !p.noBuild {
		if err := p.buildCmd.Start(); err != nil {
			p.t.Fatal(err)
		}
	}
	return stdout
}

// delete ends the helper as the deletion of the pod does.
func (p *pod) delete() {
	if err := p.helperCmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		p.t.Error(err)
	}
}

// run runs the job to its end and returns its result.
func (p *pod) run() job.Result {
	p.t.Helper()
	p.read(p.start())
	if err := p.helperCmd.Wait(); err != nil {
		p.t.Errorf("helper: %v: %s", err, p.stderr.String())
	}
	if !p.noBuild {
		if err := p.buildCmd.Wait(); err != nil {
			p.t.Logf("build: %v: %s", err, p.buildErr.String())
		}
	}
	return p.result()
}

// runHelperToDeath kills the helper when part is in the log, and returns when
// the build process has ended by itself.
func (p *pod) runHelperToDeath(part string) {
	p.t.Helper()
	p.onLog = once(part, func(p *pod) { p.helperCmd.Process.Kill() })
	stdout := p.start()
	p.read(stdout)
	_ = p.helperCmd.Wait()
	if err := p.buildCmd.Wait(); err == nil {
		p.t.Error("the build agent ended without an error")
	}
}

// read takes the frames and checks their numbers and offsets.
func (p *pod) read(stdout io.Reader) {
	p.t.Helper()
	frames := frame.NewReader(stdout)
	for {
		f, err := frames.Next()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			p.t.Errorf("stream: %v", err)
			return
		}
		if f.Seq <= p.lastSeq {
			p.resent++
			p.lastResent = f.Seq
			if p.onResent != nil {
				p.onResent(p)
			}
			continue
		}
		if f.Seq != p.lastSeq+1 || f.Offset != int64(p.log.Len()) {
			p.t.Errorf("frame %d at offset %d follows frame %d, log of %d bytes", f.Seq, f.Offset, p.lastSeq, p.log.Len())
		}
		p.lastSeq = f.Seq
		switch f.Kind {
		case frame.Log:
			p.log.Write(f.Payload)
		case frame.Event:
			var e job.Event
			if err := json.Unmarshal(f.Payload, &e); err != nil {
				p.t.Errorf("event %q: %v", f.Payload, err)
			}
			p.events = append(p.events, e)
			if e.Ending {
				p.ending = p.log.Len()
			}
			switch {
			case e.Result == nil:
			case p.onResult != nil:
				p.onResult(p)
			default:
				p.delete()
			}
		}
		if p.onLog != nil {
			p.onLog(p, p.log.String())
		}
	}
}

func (p *pod) result() job.Result {
	p.t.Helper()
	if len(p.events) == 0 || p.events[len(p.events)-1].Result == nil {
		p.t.Fatalf("no result at the end of the stream; log:\n%s", p.log.String())
	}
	result := *p.events[len(p.events)-1].Result
	if result.LogBytes != int64(p.log.Len()) {
		p.t.Errorf("result says %d log bytes, there are %d", result.LogBytes, p.log.Len())
	}
	if end := p.log.String()[p.ending:]; p.ending < 0 || !strings.Contains(end, "Job succeeded") && !strings.Contains(end, "Job failed") {
		p.t.Errorf("behind the event that announces the job's end the log says %q", end)
	}
	return result
}

// phases returns the names of the phases that ended, in order.
func (p *pod) phases() string {
	var names []string
	for _, e := range p.events {
		if e.Phase != nil && e.Phase.Done {
			names = append(names, e.Phase.Name)
		}
	}
	return strings.Join(names, " ")
}

var styles = regexp.MustCompile("\x1b\\[[0-9;]*[mK]")

// text returns the log without its colours.
func (p *pod) text() string { return styles.ReplaceAllString(p.log.String(), "") }

// wants checks that the log has each of the lines, in this order.
func (p *pod) wants(lines ...string) {
	p.t.Helper()
	rest := "\n" + p.text()
	for _, line := range lines {
		_, after, ok := strings.Cut(rest, "\n"+line+"\n")
		if !ok {
			p.t.Errorf("no line %q (in this order) in the log:\n%s", line, p.text())
			return
		}
		rest = "\n" + after
	}
}

func (p *pod) wantsNot(part string) {
	p.t.Helper()
	if strings.Contains(p.log.String(), part) {
		p.t.Errorf("%q is in the log:\n%s", part, p.text())
	}
}

// once returns an onLog function that calls do when part is in the log.
func once(part string, do func(p *pod)) func(*pod, string) {
	done := false
	return func(p *pod, log string) {
		if !done && strings.Contains(log, part) {
			done = true
			do(p)
		}
	}
}

func wantOutcome(t testing.TB, got job.Result, want job.Outcome) {
	t.Helper()
	if got.Outcome != want {
		t.Errorf("outcome %+v, want %+v", got.Outcome, want)
	}
}

func exited(code int) job.Outcome {
	if code == 0 {
		return job.Outcome{State: job.Success}
	}
	return job.Outcome{State: job.Failed, Reason: job.ScriptFailure, ExitCode: code, Message: "command terminated with exit code " + itoa(code)}
}

var sectionTime = regexp.MustCompile(`section_(start|end):\d+:`)
