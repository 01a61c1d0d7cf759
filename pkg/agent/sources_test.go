package agent_test

import (
	"encoding/base64"
	"io/fs"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/runnerd/runnerd/pkg/job"
)

func TestClone(t *testing.T) {
	s := newGitServer(t)
	sha := s.repo("group/project", map[string]string{"README": "hello\n", "sub/file": "x\n"})
	p := newPod(t, "cat README", "git status --short", "git log -1 --format=%H", "git config remote.origin.url", "ls -a")
	p.helper.Sources = s.sources("group/project", sha)
	wantOutcome(t, p.run(), exited(0))
	p.wants("Getting source from Git repository", "Fetching changes with git depth set to 20...",
		"Initialized empty Git repository in "+p.helper.ProjectDir+"/.git/", "Created fresh repository.",
		"Checking out "+sha[:8]+" as detached HEAD (ref is main)...", "Skipping Git submodules setup",
		"hello", "$ git status --short", "$ git log -1 --format=%H", sha, p.helper.Sources.URL)
	headers := *s.headers.Load()
	if got := headers.Get("User-Agent"); got != "runnerd 1.0 linux/amd64" {
		t.Errorf("User-Agent %q", got)
	}
	if got := headers.Get("X-Gitaly-Correlation-ID"); got != "corr-1" {
		t.Errorf("correlation id %q", got)
	}
}

func TestNoCredentialsAreLeft(t *testing.T) {
	s := newGitServer(t)
	s.repo("group/lib", map[string]string{"lib": "lib\n"})
	s.repo("group/project", nil)
	sha := s.commit("group/project", nil, map[string]string{"vendor/lib": "group/lib"})
	var looked atomic.Int32
	s.onFetch = func() {
		files, _ := filepath.Glob("/proc/[0-9]*/cmdline")
		for _, f := range files {
			text, _ := os.ReadFile(f)
			if strings.Contains(string(text), "git") {
				looked.Add(1)
			}
			if strings.Contains(string(text), gitPassword) {
				t.Errorf("the password is an argument of a process: %q", text)
			}
		}
	}
	p := newPod(t, "true")
	p.helper.Sources = s.sources("group/project", sha)
	p.helper.Sources.Submodules = job.Submodules{Strategy: "recursive", Depth: 1}
	var left []string
	p.onLog = once("$ true", func(p *pod) {
		// While the script runs: what can it find?
		os.Remove(p.path("plan", job.HelperPlanFile))
		left = grep(t, p.dir, gitPassword, base64.StdEncoding.EncodeToString([]byte(gitUser+":"+gitPassword)))
	})
	wantOutcome(t, p.run(), exited(0))
	if len(left) > 0 {
		t.Errorf("the password is in %q", left)
	}
	if looked.Load() == 0 {
		t.Error("no git process was seen while objects were fetched")
	}
	if text, err := os.ReadFile(p.helper.ProjectDir + "/vendor/lib/lib"); string(text) != "lib\n" {
		t.Errorf("submodule: %q, %v", text, err)
	}
}

// grep returns the files below dir that hold one of the texts.
func grep(t *testing.T, dir string, texts ...string) (found []string) {
	t.Helper()
	filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return fs.SkipDir
		}
		if !entry.Type().IsRegular() {
			return nil
		}
		content, _ := os.ReadFile(path)
		for _, text := range texts {
			if strings.Contains(string(content), text) {
				found = append(found, path)
			}
		}
		return nil
	})
	return found
}

func TestSourcesFail(t *testing.T) {
	s := newGitServer(t)
	sha := s.repo("group/project", map[string]string{"README": "hello\n"})
	tests := []struct {
		name   string
		change func(*job.Sources)
		want   string // in the message
	}{
		{name: "wrong password", change: func(s *job.Sources) { s.Password = "wrong-password" }, want: "git fetch: exit code 128: the server refuses the job's credentials"},
		{name: "no password", change: func(s *job.Sources) { s.Password = "" }, want: "the server refuses the job's credentials"},
		{name: "missing commit", change: func(s *job.Sources) { s.SHA = strings.Repeat("1", 40) }, want: "git checkout: exit code 128: the commit or ref is not there"},
		{name: "missing ref", change: func(s *job.Sources) { s.Refspecs = []string{"+refs/heads/gone:refs/x"} }, want: "git fetch: exit code 128: the commit or ref is not there"},
		{name: "no server", change: func(s *job.Sources) { s.URL = "http://127.0.0.1:1/x.git" }, want: "http://127.0.0.1:1/x.git cannot be reached"},
		{name: "failing hook", change: func(s *job.Sources) { s.PostHooks = []string{"exit 6"} }, want: "post_get_sources_script: exit code 6"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := newPod(t, "echo script")
			p.addAfterScript("echo after")
			p.helper.Sources = s.sources("group/project", sha)
			tt.change(&p.helper.Sources)
			got := p.run()
			if got.State != job.Failed || got.Reason != job.ScriptFailure || got.ExitCode == 0 || !strings.Contains(got.Message, tt.want) {
				t.Errorf("outcome %+v, want a script failure that says %q", got.Outcome, tt.want)
			}
			if want := "prepare_script get_sources cleanup_file_variables"; p.phases() != want {
				t.Errorf("phases %q, want %q", p.phases(), want)
			}
			p.wantsNot("wrong-password")
		})
	}
}

func TestSourcesTryAgain(t *testing.T) {
	t.Parallel()
	s := newGitServer(t)
	sha := s.repo("group/project", map[string]string{"README": "hello\n"})
	s.failures.Store(1)
	p := newPod(t, "cat README")
	p.helper.Sources = s.sources("group/project", sha)
	p.helper.Sources.Attempts = 2
	wantOutcome(t, p.run(), exited(0))
	if want := "prepare_script get_sources clear_worktree get_sources step_script cleanup_file_variables"; p.phases() != want {
		t.Errorf("phases %q, want %q", p.phases(), want)
	}
	p.wants("Deleting all tracked and untracked files due to source fetch failure", "hello")
}

func TestSourcesTimeout(t *testing.T) {
	t.Parallel()
	s := newGitServer(t)
	sha := s.repo("group/project", map[string]string{"README": "hello\n"})
	release := make(chan struct{})
	s.onFetch = func() { <-release }
	t.Cleanup(func() { close(release) })
	p := newPod(t, "true")
	p.helper.Sources = s.sources("group/project", sha)
	p.helper.Sources.Timeout = 500 * time.Millisecond
	p.helper.Sources.Attempts = 3
	if got := p.run(); got.Reason != job.JobExecutionTimeout || !strings.Contains(got.Message, "get_sources_timeout") {
		t.Errorf("outcome %+v, want a timeout", got.Outcome)
	}
}

func TestEndDuringSources(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		signal  string
		timeout time.Duration
		want    job.Outcome
	}{
		{name: "cancel", signal: "cancel", timeout: time.Hour, want: canceledOutcome},
		{name: "stop", signal: "stop", timeout: time.Hour, want: job.Outcome{
			State: job.Canceled, Reason: job.JobCanceled, Message: "stopped at once: GitLab does not want the job any more",
		}},
		{name: "job timeout", timeout: time.Second, want: job.Outcome{
			State: job.Failed, Reason: job.JobExecutionTimeout, Message: "execution took longer than 1s seconds",
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newGitServer(t)
			sha := s.repo("group/project", map[string]string{"README": "hello\n"})
			release := make(chan struct{})
			p := newPod(t, "echo script")
			p.addAfterScript("echo after")
			s.onFetch = func() {
				p.tell("signal", tt.signal)
				<-release
			}
			t.Cleanup(func() { close(release) })
			p.helper.Sources = s.sources("group/project", sha)
			p.helper.Sources.Attempts = 3
			p.helper.Timeout = tt.timeout
			wantOutcome(t, p.run(), tt.want)
			for _, phase := range strings.Fields(p.phases()) {
				if phase == "step_script" || phase == "after_script" || phase == "clear_worktree" {
					t.Errorf("phases %q, want the job to end with its sources", p.phases())
				}
			}
		})
	}
}

// TestFetchIntoExisting: the second job of a shared builds volume.
func TestFetchIntoExisting(t *testing.T) {
	t.Parallel()
	s := newGitServer(t)
	s.repo("group/lib", map[string]string{"lib": "lib\n"})
	s.repo("group/project", map[string]string{"README": "one\n", ".gitignore": "ignored\n"})
	sha := s.commit("group/project", nil, map[string]string{"vendor/lib": "group/lib"})
	p := newPod(t,
		"touch left ignored; echo changed > README; echo x > vendor/lib/left; echo y > vendor/lib/lib",
		"printf '#!/bin/sh\\ntouch /tmp/runnerd-agent-test-evil\\n' | tee .git/hooks/post-checkout > .git/hooks/fsmonitor; chmod +x .git/hooks/*",
		"git config core.fsmonitor .git/hooks/fsmonitor; git config core.hooksPath .git/hooks; git config filter.evil.smudge 'touch /tmp/runnerd-agent-test-evil; cat'",
		"touch .git/index.lock .git/refs/heads/x.lock .git/modules/vendor/lib/index.lock", "echo '* filter=evil' > .git/info/attributes",
	)
	p.helper.Sources = s.sources("group/project", sha)
	p.helper.Sources.Submodules = job.Submodules{Strategy: "normal"}
	wantOutcome(t, p.run(), exited(0))

	sha = s.commit("group/project", map[string]string{"README": "two\n"}, nil)
	next := newPod(t, "cat README vendor/lib/lib", "git status --short --ignored", "echo end")
	next.helper.BuildsDir, next.helper.ProjectDir, next.helper.TempDir = p.helper.BuildsDir, p.helper.ProjectDir, p.helper.TempDir
	next.build.ProjectDir, next.build.TempDir, next.build.EnvFile = p.build.ProjectDir, p.build.TempDir, p.build.EnvFile
	next.helper.Sources = s.sources("group/project", sha)
	next.helper.Sources.Submodules = job.Submodules{Strategy: "normal"}
	wantOutcome(t, next.run(), exited(0))
	next.wants("Reinitialized existing Git repository in "+p.helper.ProjectDir+"/.git/", "Removing ignored",
		"two", "lib", "$ git status --short --ignored", "$ echo end", "end")
	next.wantsNot("Created fresh")
	if _, err := os.Stat("/tmp/runnerd-agent-test-evil"); err == nil {
		os.Remove("/tmp/runnerd-agent-test-evil")
		t.Error("the helper ran what the job before left")
	}
}

func TestSubmodules(t *testing.T) {
	t.Parallel()
	s := newGitServer(t)
	s.repo("group/inner", map[string]string{"inner": "inner\n"})
	s.repo("group/lib", map[string]string{"lib": "lib\n"})
	s.commit("group/lib", nil, map[string]string{"in": "group/inner"})
	s.repo("group/project", nil)
	sha := s.commit("group/project", nil, map[string]string{"a": "group/lib", "b": "group/lib"})
	tests := []struct {
		name    string
		modules job.Submodules
		want    []string
	}{
		{name: "none", want: []string{"Skipping Git submodules setup", "0 0 0"}},
		{name: "normal", modules: job.Submodules{Strategy: "normal"}, want: []string{"Updating/initializing submodules...", "1 0 1"}},
		{
			name: "recursive", modules: job.Submodules{Strategy: "recursive", Depth: 1, UpdateFlags: []string{"--jobs", "2"}},
			want: []string{"Updating/initializing submodules recursively with git depth set to 1...", "1 1 1"},
		},
		{name: "paths", modules: job.Submodules{Strategy: "recursive", Paths: []string{"b"}}, want: []string{"0 0 1"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := newPod(t, `n() { test -e $1 && echo 1 || echo 0; }; echo $(n a/lib) $(n a/in/inner) $(n b/lib)`)
			p.helper.Sources = s.sources("group/project", sha)
			p.helper.Sources.Submodules = tt.modules
			wantOutcome(t, p.run(), exited(0))
			p.wants(tt.want...)
		})
	}
}

func TestStrategies(t *testing.T) {
	t.Parallel()
	s := newGitServer(t)
	sha := s.repo("group/project", map[string]string{"README": "hello\n"})
	tests := []struct {
		strategy, want string
	}{
		{job.StrategyFetch, "README left"}, {job.StrategyClone, "README"}, {job.StrategyNone, "left"}, {job.StrategyEmpty, ""},
	}
	for _, tt := range tests {
		t.Run(tt.strategy, func(t *testing.T) {
			p := newPod(t, `echo "[$(echo $(ls))]"`)
			if err := os.MkdirAll(p.helper.ProjectDir, 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(p.helper.ProjectDir+"/left", nil, 0o644); err != nil {
				t.Fatal(err)
			}
			p.helper.Sources = s.sources("group/project", sha)
			p.helper.Sources.Strategy = tt.strategy
			p.helper.Sources.CleanFlags = nil
			wantOutcome(t, p.run(), exited(0))
			p.wants("[" + tt.want + "]")
		})
	}
}

func TestNoCheckoutAndFullDepth(t *testing.T) {
	t.Parallel()
	s := newGitServer(t)
	sha := s.repo("group/project", map[string]string{"README": "hello\n"})
	p := newPod(t, "ls", "git rev-parse --is-shallow-repository")
	p.helper.Sources = s.sources("group/project", sha)
	p.helper.Sources.Checkout, p.helper.Sources.Depth = false, 0
	wantOutcome(t, p.run(), exited(0))
	p.wants("Fetching changes...", "Skipping Git checkout", "$ ls", "$ git rev-parse --is-shallow-repository", "false")
}

func TestSHA256(t *testing.T) {
	t.Parallel()
	s := newGitServer(t)
	sha := s.repo("group/project", map[string]string{"README": "hello\n"}, "--object-format=sha256")
	p := newPod(t, "git log -1 --format=%H")
	p.helper.Sources = s.sources("group/project", sha)
	p.helper.Sources.ObjectFormat = "sha256"
	wantOutcome(t, p.run(), exited(0))
	p.wants(sha)
}

func TestHooks(t *testing.T) {
	t.Parallel()
	s := newGitServer(t)
	sha := s.repo("group/project", map[string]string{"README": "hello\n"})
	p := newPod(t, "true")
	p.helper.Variables = []job.Variable{{Key: "GREETING", Value: "hi there"}, {Key: "CONF", Value: "content", File: true}}
	p.helper.Sources = s.sources("group/project", sha)
	p.helper.Sources.PreHooks = []string{"echo pre $GREETING; cat $CONF; echo", "git config --global http.userAgent from-hook"}
	p.helper.Sources.PostHooks = []string{"echo post $(cat README)"}
	wantOutcome(t, p.run(), exited(0))
	p.wants("pre hi there", "content", "Created fresh repository.", "post hello")
	if got := s.headers.Load().Get("User-Agent"); got != "from-hook" {
		t.Errorf("User-Agent %q, want what the hook set", got)
	}
}

func TestScriptReachesGitLab(t *testing.T) {
	s := newGitServer(t)
	sha := s.repo("group/project", map[string]string{"README": "hello\n"})
	p := newPod(t, "git fetch -q origin main", "git config --list --show-origin | grep -c "+gitPassword+" || true")
	p.helper.Sources = s.sources("group/project", sha)
	p.build.Variables = []job.Variable{{Key: "CI_JOB_TOKEN", Value: gitPassword}, {Key: "CI_REPOSITORY_URL", Value: s.url + "/group/project.git"}}
	wantOutcome(t, p.run(), exited(0))
	p.wants("0")
}

func TestOtherUserOwnsTheProject(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Log("not root: nothing to hand over")
		return
	}
	s := newGitServer(t)
	sha := s.repo("group/project", map[string]string{"README": "hello\n", "sub/file": "x\n"})
	p := newPod(t, "git status --short", "stat -c %u . README .git/index ..", "echo x > sub/new", "git add sub/new")
	p.helper.Sources = s.sources("group/project", sha)
	p.buildUser = &syscall.Credential{Uid: 1000, Gid: 1000}
	wantOutcome(t, p.run(), exited(0))
	p.wants("1000", "1000", "1000", "1000", "$ echo x > sub/new")
}

func TestFewProcesses(t *testing.T) {
	s := newGitServer(t)
	sha := s.repo("group/project", map[string]string{"README": "hello\n"})
	p := newPod(t, "true")
	p.helper.Sources = s.sources("group/project", sha)
	p.env = []string{"GIT_TRACE=1"}
	wantOutcome(t, p.run(), exited(0))
	if got := strings.Count(p.text(), "trace: built-in: git "); got > 6 {
		t.Errorf("%d git commands for a fresh clone:\n%s", got, p.text())
	}
}

func TestOwnCertificateAuthority(t *testing.T) {
	t.Parallel()
	s := startGitServer(t, (*httptest.Server).StartTLS)
	sha := s.repo("group/project", map[string]string{"README": "hello\n"})
	p := newPod(t, "cat README", "git fetch -q origin main && echo fetched")
	p.helper.Sources = s.sources("group/project", sha)
	p.helper.Sources.CA = s.ca
	p.helper.Variables = []job.Variable{{Key: "CI_SERVER_TLS_CA_FILE", Value: s.ca, File: true}}
	p.build.Variables = []job.Variable{
		{Key: "CI_JOB_TOKEN", Value: gitPassword},
		{Key: "CI_REPOSITORY_URL", Value: s.url + "/group/project.git"},
		{Key: "CI_SERVER_TLS_CA_FILE", Value: p.helper.TempDir + "/CI_SERVER_TLS_CA_FILE"},
	}
	wantOutcome(t, p.run(), exited(0))
	p.wants("hello", "fetched")

	p = newPod(t, "cat README")
	p.helper.Sources = s.sources("group/project", sha)
	if got := p.run(); !strings.Contains(got.Message, "certificate is not trusted") {
		t.Errorf("without the CA: outcome %+v", got.Outcome)
	}
}
