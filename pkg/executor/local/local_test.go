package local_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"

	"github.com/runnerd/runnerd/pkg/executor"
	"github.com/runnerd/runnerd/pkg/executor/local"
	"github.com/runnerd/runnerd/pkg/job"
)

var agent string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "agent-")
	if err != nil {
		panic(err)
	}
	agent = filepath.Join(dir, "runnerd-agent")
	build := exec.Command("go", "build", "-o", agent, "github.com/runnerd/runnerd/cmd/runnerd-agent")
	if out, err := build.CombinedOutput(); err != nil {
		panic(string(out))
	}
	code := m.Run()
	os.RemoveAll(dir)
	if code == 0 {
		if err := goleak.Find(); err != nil {
			println(err.Error())
			code = 1
		}
	}
	os.Exit(code)
}

// A log collects what a job prints and lets tests wait for it.
type log struct {
	mu   sync.Mutex
	more sync.Cond
	text strings.Builder
}

func newLog() *log {
	l := &log{}
	l.more.L = &l.mu
	return l
}

func (l *log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.more.Broadcast()
	return l.text.Write(p)
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// waitFor blocks until text has been printed; the test's own timeout bounds it.
func (l *log) waitFor(text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for !strings.Contains(l.text.String(), text) {
		l.more.Wait()
	}
}

type notes struct{ t *testing.T }

func (n notes) Info(line string) { n.t.Log(line) }
func (n notes) Warn(line string) { n.t.Log(line) }

func task(t *testing.T, root string, out *log, script ...string) (executor.Task, chan job.Signal) {
	t.Helper()
	plan, err := job.Compile(&job.Job{
		ID: 7, ProjectPath: "group/project", Timeout: time.Minute,
		Git:       job.Git{RepoURL: "https://gitlab.example.com/group/project.git"},
		Variables: []job.Variable{{Key: "GIT_STRATEGY", Value: "none"}, {Key: "FF_TIMESTAMPS", Value: "false"}},
		Steps:     []job.Step{{Name: "script", Script: script}, {Name: job.StepAfterScript, Script: []string{"echo after: $CI_JOB_STATUS"}}},
	}, job.Options{Executor: "local", BuildsDir: local.BuildsDir(root), SharedBuildsDir: true, ShortToken: "abc"})
	if err != nil {
		t.Fatal(err)
	}
	signals := make(chan job.Signal, 1)
	return executor.Task{Plan: plan, Log: out, Notes: notes{t}, Signals: signals, OnEvent: func(job.Event) {}}, signals
}

// A daemon that was killed leaves the folder of its job, and a job of another
// GitLab can have the same number.
func TestRunAfterAKilledDaemon(t *testing.T) {
	root, out := t.TempDir(), newLog()
	e := local.New(local.Config{Agent: agent, Root: root}, zap.NewNop())
	task, _ := task(t, root, out, "echo hello")
	for _, name := range []string{"share/step-0.log", "plan/old"} {
		path := filepath.Join(root, "jobs", "7", name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte("old"), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	got, err := e.Run(t.Context(), task)
	if err != nil || got.State != job.Success {
		t.Errorf("outcome = %+v (%v), want success; the log:\n%s", got, err, out)
	}
	if err := e.Remove(t.Context(), task); err != nil {
		t.Error(err)
	}
}

func TestRun(t *testing.T) {
	root, out := t.TempDir(), newLog()
	e := local.New(local.Config{Agent: agent, Root: root}, zap.NewNop())
	task, _ := task(t, root, out, "echo hello", "exit 3")
	got, err := e.Run(t.Context(), task)
	if err != nil {
		t.Fatal(err)
	}
	if got.State != job.Failed || got.ExitCode != 3 || got.Reason != job.ScriptFailure {
		t.Errorf("outcome = %+v, want script_failure with exit code 3", got)
	}
	for _, want := range []string{"\nhello\n", "\nafter: failed\n"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the log does not hold %q:\n%s", want, out)
		}
	}
	removeAll(t, e, task, root)
}

// TestLongLog: the helper of a long log waits for the end of its pod; here that
// is the end of Run.
func TestLongLog(t *testing.T) {
	root, out := t.TempDir(), newLog()
	e := local.New(local.Config{Agent: agent, Root: root}, zap.NewNop())
	task, _ := task(t, root, out, "seq 1 500000", "echo the end")
	began := time.Now()
	got, err := e.Run(t.Context(), task)
	if err != nil || got.State != job.Success {
		t.Errorf("Run = %+v, %v; want success", got, err)
	}
	if !strings.Contains(out.String(), "\n500000\n") || !strings.Contains(out.String(), "\nthe end\n") {
		t.Errorf("the log of %d bytes is not complete", len(out.String()))
	}
	if took := time.Since(began); took > time.Minute {
		t.Errorf("Run took %v: it waited for the helper to go by itself", took)
	}
	removeAll(t, e, task, root)
}

func TestCancel(t *testing.T) {
	root, out := t.TempDir(), newLog()
	e := local.New(local.Config{Agent: agent, Root: root}, zap.NewNop())
	task, signals := task(t, root, out, "echo begun", "sleep 300")
	go func() {
		out.waitFor("\nbegun\n")
		signals <- job.CancelGracefully
	}()
	got, err := e.Run(t.Context(), task)
	if err != nil || got.State != job.Canceled {
		t.Errorf("Run = %+v, %v; want canceled", got, err)
	}
	if !strings.Contains(out.String(), "\nafter: canceled\n") {
		t.Errorf("after_script did not run:\n%s", out)
	}
	removeAll(t, e, task, root)
}

func TestEndOfContext(t *testing.T) {
	root, out := t.TempDir(), newLog()
	e := local.New(local.Config{Agent: agent, Root: root}, zap.NewNop())
	task, _ := task(t, root, out, "echo begun", "sleep 300")
	ctx, cancel := context.WithCancelCause(t.Context())
	go func() {
		out.waitFor("\nbegun\n")
		cancel(executor.ErrAborted)
	}()
	if _, err := e.Run(ctx, task); !errors.Is(err, executor.ErrAborted) {
		t.Errorf("Run = %v, want the cause of the context's end", err)
	}
	removeAll(t, e, task, root)
}

func TestNoAgent(t *testing.T) {
	root := t.TempDir()
	e := local.New(local.Config{Agent: filepath.Join(root, "nothing"), Root: root}, zap.NewNop())
	task, _ := task(t, root, newLog(), "true")
	if _, err := e.Run(t.Context(), task); err == nil || !strings.Contains(err.Error(), "nothing") {
		t.Errorf("Run = %v, want an error that names the missing agent", err)
	}
	removeAll(t, e, task, root)
}

// removeAll checks that nothing of the job is left: no file, no process.
func removeAll(t *testing.T, e *local.Executor, task executor.Task, root string) {
	t.Helper()
	for range 2 {
		if err := e.Remove(context.Background(), task); err != nil {
			t.Errorf("Remove: %v", err)
		}
	}
	err := filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			t.Errorf("%s is left over", path)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	processes, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range processes {
		if line, err := os.ReadFile(path); err == nil && strings.Contains(string(line), root) {
			t.Errorf("process %s is left over: %q", path, line)
		}
	}
}
