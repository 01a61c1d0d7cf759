package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/runnerd/runnerd/internal/standin"
	"github.com/runnerd/runnerd/pkg/config"
)

// patience bounds every wait of a test. Nothing takes that long; it only keeps
// a broken daemon from holding up the suite.
const patience = 60 * time.Second

// A site is a stand-in GitLab with one runner, and the config file of a daemon
// that works for it.
type site struct {
	*testing.T
	ctx    context.Context
	gitlab *standin.Server
	runner *standin.Runner
	dir    string // of the config file
}

func newSite(t *testing.T, o standin.Options, spec standin.RunnerSpec) *site {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	gitlab := standin.Start(t, o)
	s := &site{T: t, ctx: ctx, gitlab: gitlab, runner: gitlab.AddRunner(spec), dir: t.TempDir()}
	t.Cleanup(s.deserted)
	return s
}

// deserted waits until no process of a job is left. A daemon that ends at once
// does not wait for them; they end by themselves, and use the site's folder till then.
func (s *site) deserted() {
	end := time.Now().Add(patience)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		left := s.processes()
		if len(left) == 0 {
			return
		}
		if time.Now().After(end) {
			s.Errorf("processes are left: %q", left)
			return
		}
		<-tick.C
	}
}

// processes returns the command lines that name the site's folder.
func (s *site) processes() []string {
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		s.Error(err)
	}
	var list []string
	for _, file := range files {
		line, err := os.ReadFile(file)
		if err == nil && bytes.Contains(line, []byte(s.dir)) { // else it has just ended
			list = append(list, strings.ReplaceAll(string(line), "\x00", " "))
		}
	}
	return list
}

func (s *site) path() string { return filepath.Join(s.dir, "config.toml") }

// entry is a [[runners]] table for the site's runner. Tables in more come last.
func (s *site) entry(name, token string, more ...string) string {
	return fmt.Sprintf("[[runners]]\nname = %q\nurl = %q\ntoken = %q\nexecutor = \"local\"\nbuilds_dir = %q\n%s\n",
		name, s.gitlab.URL(), token, filepath.Join(s.dir, "work"), strings.Join(more, "\n"))
}

// configText is a file with the site's runner; more goes into its entry.
func (s *site) configText(global string, more ...string) string {
	return "check_interval = 1\n" + global + "\n" + s.entry("one", s.runner.Token(), more...)
}

// write replaces the config file, as an editor does.
func (s *site) write(text string) {
	s.Helper()
	aside := s.path() + ".new"
	if err := os.WriteFile(aside, []byte(text), 0o600); err != nil {
		s.Fatal(err)
	}
	if err := os.Rename(aside, s.path()); err != nil {
		s.Fatal(err)
	}
}

// An instance is a daemon that runs in the test's process.
type instance struct {
	*site
	daemon *daemon
	log    *logText
	drain  context.CancelFunc
	force  context.CancelFunc
	hup    chan os.Signal
	ended  chan struct{}
	err    error // valid once ended is closed
}

// start writes the config file and starts a daemon with it. The test drains it
// at its end, if it has not stopped it before.
func (s *site) start(text string) *instance {
	s.Helper()
	s.write(text)
	c, warnings, err := config.Load(s.path())
	if err != nil {
		s.Fatal(err)
	}
	r := &instance{site: s, log: newLogText(), hup: make(chan os.Signal, 1), ended: make(chan struct{})}
	log, level := newLogger(c, io.MultiWriter(r.log, s.Output()))
	logWarnings(log, warnings)
	r.daemon, err = newDaemon(buildInfo{Version: "test"}, s.path(), agentBinary, c, log, level)
	if err != nil {
		s.Fatal(err)
	}
	force, cancel := context.WithCancel(context.Background())
	drain, cancelDrain := context.WithCancel(force)
	r.force, r.drain = cancel, cancelDrain
	go func() {
		defer close(r.ended)
		r.err = r.daemon.run(stopper{drain: drain, force: force, reload: r.hup})
	}()
	s.Cleanup(func() {
		r.drain()
		select {
		case <-r.ended:
		case <-time.After(patience): // a job hangs: the test has said so
			r.force()
			<-r.ended
		}
		r.force()
	})
	return r
}

// wait blocks until the daemon has ended.
func (r *instance) wait() error {
	r.Helper()
	select {
	case <-r.ended:
		return r.err
	case <-r.ctx.Done():
		r.Fatal("the daemon does not end")
		return nil
	}
}

// reload sends SIGHUP and waits for what the log then says.
func (r *instance) reload(text, says string) {
	r.Helper()
	r.write(text)
	before := r.log.count(says)
	r.hup <- os.Interrupt // any signal: the channel is for SIGHUP alone
	if !r.log.until(r.ctx, says, before+1) {
		r.Fatalf("after the reload the log does not say %q", says)
	}
}

// ends waits for a job's end and compares it.
func (s *site) ends(j *standin.Job, want standin.State, reason string) {
	s.Helper()
	state, err := j.Wait(s.ctx)
	if err != nil || state != want || j.FailureReason() != reason {
		s.Errorf("job %q is %s (%s), want %s (%s); %v; its log:\n%s", j.Name(), state, j.FailureReason(), want, reason, err, j.Text())
	}
}

// prints waits until the job's log at GitLab holds text.
func (s *site) prints(j *standin.Job, text string) {
	s.Helper()
	if err := j.Until(s.ctx, func(j *standin.Job) bool {
		return strings.Contains(j.Text(), text) || j.State().Final()
	}); err != nil || !strings.Contains(j.Text(), text) {
		s.Fatalf("log of job %q does not hold %q (%v):\n%s", j.Name(), text, err, j.Text())
	}
}

// says checks that the job's log holds text.
func (s *site) says(j *standin.Job, text string) {
	s.Helper()
	if !strings.Contains(j.Text(), text) {
		s.Errorf("log of job %q does not hold %q:\n%s", j.Name(), text, j.Text())
	}
}

// A gate is what a job's script waits for, so that a test decides when it ends.
type gate struct{ path string }

func (s *site) gate() gate { return gate{filepath.Join(s.TempDir(), "gate")} }

// script prints "waiting" and goes on when the gate is open.
func (g gate) script() []string {
	return []string{"echo waiting", fmt.Sprintf("while [ ! -e %s ]; do sleep 0.05; done", g.path), "echo passed"}
}

func (s *site) open(g gate) {
	s.Helper()
	if err := os.WriteFile(g.path, nil, 0o600); err != nil {
		s.Fatal(err)
	}
}

// A logText is a daemon's log that tests can wait for.
type logText struct {
	mu      sync.Mutex
	text    bytes.Buffer
	changed chan struct{}
}

func newLogText() *logText { return &logText{changed: make(chan struct{})} }

func (l *logText) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	close(l.changed)
	l.changed = make(chan struct{})
	return l.text.Write(p)
}

func (l *logText) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func (l *logText) count(text string) int { return strings.Count(l.String(), text) }

// until waits until text is there n times.
func (l *logText) until(ctx context.Context, text string, n int) bool {
	for {
		l.mu.Lock()
		changed := l.changed
		l.mu.Unlock()
		if l.count(text) >= n {
			return true
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return false
		}
	}
}
