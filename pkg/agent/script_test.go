package agent_test

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/runnerd/runnerd/pkg/job"
)

func itoa(n int) string { return strconv.Itoa(n) }

func TestScript(t *testing.T) {
	tests := []struct {
		name   string
		script []string
		code   int
		wants  []string
		not    string
	}{
		{name: "one command", script: []string{"echo hello"}, wants: []string{"$ echo hello", "hello", "Job succeeded"}},
		{name: "exit code", script: []string{"echo one", "exit 3", "echo two"}, code: 3, wants: []string{"one", "$ exit 3", "ERROR: Job failed: command terminated with exit code 3"}, not: "two"},
		{name: "failing command", script: []string{"sh -c 'exit 7'", "echo two"}, code: 7, not: "two"},
		{name: "missing command", script: []string{"no-such-command"}, code: 127},
		{name: "pipe", script: []string{"false | true"}, code: 1},
		{name: "killed by a signal", script: []string{"kill -KILL $$"}, code: 137},
		{name: "several lines", script: []string{"echo a\necho b\n"}, wants: []string{"$ echo a # collapsed multi-line command", "a", "b"}},
		{name: "here document", script: []string{"cat <<EOF\nline $((1+1))\nEOF"}, wants: []string{"line 2"}},
		{name: "set +e persists", script: []string{"set +e", "false", "echo on"}, wants: []string{"on"}},
		{name: "cd and variables persist", script: []string{"cd /", "X=1", "pwd", "echo x$X"}, wants: []string{"/", "x1"}},
		{name: "quotes", script: []string{`echo 'it'"'"'s' "\$HOME" \\n`}, wants: []string{`$ echo 'it'"'"'s' "\$HOME" \\n`, `it's $HOME \n`}},
		{name: "empty line", script: []string{"echo a", "  ", "echo b"}, wants: []string{"a", "", "$ echo b"}},
		{name: "stdin is empty", script: []string{"cat", "echo end"}, wants: []string{"$ cat", "$ echo end", "end"}},
		{name: "stdout and stderr in order", script: []string{"echo 1; echo 2 >&2; echo 3; echo 4 >&2"}, wants: []string{"1", "2", "3", "4"}},
		{name: "carriage returns", script: []string{`printf 'one\r\ntwo\r\n'`}, wants: []string{"one\r", "two\r"}},
		{name: "invalid UTF-8", script: []string{`printf 'a\377b\n'`}, wants: []string{"a\ufffdb"}},
		{name: "secret in two writes", script: []string{`printf 'x hunt'; sleep 0.1; printf 'er22 y\n'`}, wants: []string{"x [MASKED] y"}, not: "hunter22"},
		{name: "overwriting stdout", script: []string{"echo a", "echo b > /dev/stdout", "echo c > /dev/stderr"}, wants: []string{"a", "b", "c"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := newPod(t, tt.script...)
			p.helper.Log.Masks = []string{"hunter22"}
			wantOutcome(t, p.run(), exited(tt.code))
			p.wants(tt.wants...)
			if tt.not != "" {
				p.wantsNot("\n" + tt.not + "\n")
			}
		})
	}
}

func TestScriptSections(t *testing.T) {
	tests := []struct {
		name   string
		script []string
		code   int
		want   string
	}{
		{
			name: "one for each command of several lines", script: []string{"echo a", "echo b\necho c"},
			want: "$ echo a\na\nsection_start:T:section_script_step_1[hide_duration=true,collapsed=true]\r$ echo b\necho c\nb\nc\nsection_end:T:section_script_step_1\r\n",
		},
		{
			name: "a failing command's", script: []string{"(exit 3)\necho b"}, code: 3,
			want: "section_start:T:section_script_step_0[hide_duration=true,collapsed=true]\r$ (exit 3)\necho b\nsection_end:T:section_script_step_0\r\n",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := newPod(t, tt.script...)
			p.build.Sections = true
			wantOutcome(t, p.run(), exited(tt.code))
			got := sectionTime.ReplaceAllString(p.text(), "section_$1:T:")
			if !strings.Contains(got, tt.want) {
				t.Errorf("log\n%q\nwant in it\n%q", got, tt.want)
			}
		})
	}
}

func TestAddMask(t *testing.T) {
	t.Parallel()
	p := newPod(t, `printf '::add-mask::%s%s\n' hun ter22`, `printf 'x %s%s y\n' hun ter22`)
	p.addAfterScript(`printf 'z %s%s\n' hun ter22`)
	wantOutcome(t, p.run(), exited(0))
	p.wants("::add-mask::[MASKED]", "x [MASKED] y", "z [MASKED]")
	p.wantsNot("hunter22")
}

func TestWholeLog(t *testing.T) {
	t.Parallel()
	p := newPod(t, "echo hello")
	p.addAfterScript("echo $CI_JOB_STATUS")
	p.helper.Log.Sections = true
	p.helper.Warnings = []string{"a setting is wrong"}
	p.build.Steps[0].Before, p.build.Steps[0].After = "echo before", "echo after"
	wantOutcome(t, p.run(), exited(0))
	host, _ := os.Hostname()
	want := strings.Join([]string{
		"section_start:T:prepare_script\rPreparing environment",
		"Running on " + host + " via manager-1...",
		"WARNING: a setting is wrong",
		"section_end:T:prepare_script\rsection_start:T:get_sources\rGetting source from Git repository",
		"Skipping Git repository setup and creating an empty build directory",
		"Skipping Git checkout",
		"Skipping Git submodules setup",
		"section_end:T:get_sources\rsection_start:T:step_script\rExecuting \"step_script\" stage of the job script",
		"$ echo before", "before", "$ echo hello", "hello", "$ echo after", "after",
		"section_end:T:step_script\rsection_start:T:after_script\rRunning after_script",
		"Running after script...",
		"$ echo $CI_JOB_STATUS", "success",
		"section_end:T:after_script\rsection_start:T:cleanup_file_variables\rCleaning up project directory and file based variables",
		"section_end:T:cleanup_file_variables\rJob succeeded",
	}, "\n") + "\n"
	got := sectionTime.ReplaceAllString(p.text(), "section_$1:T:")
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("log (-want +got):\n%s", diff)
	}
	if got, want := p.phases(), "prepare_script get_sources step_script after_script cleanup_file_variables"; got != want {
		t.Errorf("phases %q, want %q", got, want)
	}
}

func TestLongLine(t *testing.T) {
	t.Parallel()
	p := newPod(t, "head -c 307200 /dev/zero | tr '\\0' x; echo; echo end")
	p.helper.Log.Timestamps = true
	wantOutcome(t, p.run(), exited(0))
	if got := strings.Count(p.log.String(), "x"); got < 307200 || got > 307210 {
		t.Errorf("%d bytes of the line are in the log, want 307200", got)
	}
}

func TestOrphanDoesNotHoldTheJob(t *testing.T) {
	t.Parallel()
	p := newPod(t, "(while sleep 0.02; do echo tick; done) & echo $! > orphan", "sleep 300 & echo $! > sleeper", "echo end")
	p.addAfterScript("kill -0 $(cat orphan) && echo still alive")
	began := time.Now()
	wantOutcome(t, p.run(), exited(0))
	for _, name := range []string{"orphan", "sleeper"} {
		pid, err := os.ReadFile(p.helper.ProjectDir + "/" + name)
		if err != nil {
			t.Fatal(err)
		}
		if state := p.ended(strings.TrimSpace(string(pid))); state != "" {
			t.Errorf("the script's %s outlives the job: %s", name, state)
		}
	}
	p.wants("end", "still alive")
	if took := time.Since(began); took > time.Minute {
		t.Errorf("the job took %s", took)
	}
}

// ended waits until a process that was killed is gone, and otherwise returns what
// the system says of it.
func (p *pod) ended(pid string) string {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	var state []byte
	for range 1000 {
		var err error
		if state, err = os.ReadFile("/proc/" + pid + "/stat"); err != nil || strings.Contains(string(state), ") Z ") {
			return ""
		}
		<-tick.C
	}
	return string(state)
}

func TestAfterScriptSeesHowTheScriptEnded(t *testing.T) {
	for _, tt := range []struct {
		script, status string
		code           int
	}{{"true", "success", 0}, {"exit 4", "failed", 4}} {
		p := newPod(t, "echo status $CI_JOB_STATUS", `echo "FROM=script $((40+2))" >> "$GITLAB_ENV"`, tt.script)
		p.addAfterScript("echo after $CI_JOB_STATUS, FROM $FROM", "exit 9")
		wantOutcome(t, p.run(), exited(tt.code))
		p.wants("status running", "after "+tt.status+", FROM script 42",
			"WARNING: after_script failed, but job will continue unaffected: command terminated with exit code 9")
	}
}

func TestAfterScriptThatMustSucceed(t *testing.T) {
	t.Parallel()
	p := newPod(t, "true")
	p.addAfterScript("exit 9")
	p.helper.AfterScriptMustSucceed = true
	wantOutcome(t, p.run(), exited(9))
}

func TestFileVariables(t *testing.T) {
	t.Parallel()
	p := newPod(t, "cat $CONFIG; echo", "stat -c %a $CONFIG", "rm $CONFIG")
	p.addAfterScript("cat $CONFIG; echo")
	value := "line one\nline two"
	p.helper.Variables = []job.Variable{{Key: "CONFIG", Value: value, File: true}}
	p.build.Variables = []job.Variable{{Key: "CONFIG", Value: p.build.TempDir + "/CONFIG", File: true}}
	wantOutcome(t, p.run(), exited(0))
	p.wants("line one", "line two", "600", "Running after script...", "line one", "line two")
	if _, err := os.Stat(p.helper.TempDir); !os.IsNotExist(err) {
		t.Errorf("the directory of file variables is still there: %v", err)
	}
}

func TestVariables(t *testing.T) {
	t.Parallel()
	big := strings.Repeat("v", 1<<20)
	p := newPod(t,
		`echo "${#BIG} $PLAIN"`, "env | grep -c BIG || true", "/bin/echo external", `echo "[$QUOTED]"`,
		"env | grep -F odd-name", "cd; pwd; touch writable")
	p.build.Variables = []job.Variable{
		{Key: "PLAIN", Value: "first"},
		{Key: "PLAIN", Value: "second"},
		{Key: "BIG", Value: big},
		{Key: "QUOTED", Value: `it's "$HOME" \ ` + "`x`\nand more"},
		{Key: "odd-name.x", Value: "1"},
	}
	wantOutcome(t, p.run(), exited(0))
	p.wants("1048576 second", "0", "external", `[it's "$HOME" \ `+"`x`", "and more]", "odd-name.x=1")
	if !strings.Contains(p.text(), p.path("share")+"/") || !strings.Contains(p.text(), "/home\n") {
		t.Errorf("a user without a home got none:\n%s", p.text())
	}
	if !strings.Contains(p.text(), "WARNING: variable BIG (1048576 bytes) is too large") {
		t.Error("nothing is said about the variable that does not fit")
	}
}

func TestManyVariables(t *testing.T) {
	t.Parallel()
	p := newPod(t, "/bin/echo external", `echo "${#V1} ${#V29}"`)
	for i := range 30 {
		p.build.Variables = append(p.build.Variables, job.Variable{Key: "V" + itoa(i), Value: strings.Repeat("x", 100_000+i)})
	}
	wantOutcome(t, p.run(), exited(0))
	p.wants("external", "100001 100029")
}

func TestOtherUser(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Log("not root: nothing to hand over")
		return
	}
	p := newPod(t, "id -u", "echo x > new", "cat $CONFIG; echo", "echo A=1 >> $GITLAB_ENV", "cd && touch x", "echo err > /dev/stderr")
	p.addAfterScript("cat $CONFIG; echo", "echo A $A")
	p.helper.Variables = []job.Variable{{Key: "CONFIG", Value: "secret text", File: true}}
	p.build.Variables = []job.Variable{{Key: "CONFIG", Value: p.build.TempDir + "/CONFIG", File: true}}
	p.buildUser = &syscall.Credential{Uid: 1000, Gid: 1000}
	wantOutcome(t, p.run(), exited(0))
	p.wants("1000", "secret text", "err", "Running after script...", "secret text", "A 1")
}

func TestDebugTrace(t *testing.T) {
	t.Parallel()
	p := newPod(t, "echo hello")
	p.build.Debug = true
	wantOutcome(t, p.run(), exited(0))
	p.wants("+ echo hello", "hello")
}

func TestTenMegabytes(t *testing.T) {
	p := newPod(t, `yes "0123456789 0123456789 0123456789 0123456789 0123456789 0123456789 0123456789" | head -c 10485760`)
	p.helper.Log.Timestamps = true
	p.helper.Log.LimitBytes = 4 << 20
	p.helper.Log.Masks = []string{"hunter22"}
	peak := 0
	p.onLog = func(p *pod, log string) { peak = max(peak, peakMemory(p.helperCmd.Process.Pid)) }
	began := time.Now()
	// head closes the pipe, so yes dies of SIGPIPE.
	if got := p.run(); got.ExitCode != 141 {
		t.Errorf("exit code %d, want 141", got.ExitCode)
	}
	t.Logf("took %s", time.Since(began))
	if peak > 30<<10 && !underRace {
		t.Errorf("the helper took %d KiB of memory, want less than 30 MiB", peak)
	} else {
		t.Logf("the helper took %d KiB of memory", peak)
	}
	if !strings.Contains(p.log.String(), "exceeded limit") || !strings.Contains(p.log.String(), "bytes of the job's log are missing here") {
		t.Error("nothing is said about the limit")
	}
}

// peakMemory returns the most memory that a process has had, in KiB.
func peakMemory(pid int) (kib int) {
	status, _ := os.ReadFile("/proc/" + itoa(pid) + "/status")
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	fmt.Sscan(rest, &kib)
	return kib
}
