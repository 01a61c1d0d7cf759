package agent

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/runnerd/runnerd/pkg/job"
)

// TestScriptInEveryShell: what a script does must not depend on the image.
func TestScriptInEveryShell(t *testing.T) {
	dir := t.TempDir()
	busybox := filepath.Join(dir, "sh")
	if err := os.Symlink("/usr/bin/busybox", busybox); err != nil {
		t.Fatal(err)
	}
	step := job.BuildStep{
		Before: "echo before", Announce: "Running after script...", After: "echo 'not reached'",
		Script: []string{`echo 'a\nb' "$BIG"`, "cat <<EOF\n$PWD\nEOF", "set +e", "false", "set -e", "  ", "(exit 5)"},
	}
	want := strings.Join([]string{
		"\x1b[32;1mRunning after script...\x1b[0;m",
		"\x1b[32;1m$ echo before\x1b[0;m", "before",
		"\x1b[32;1m$ echo 'a\\nb' \"$BIG\"\x1b[0;m", "ECHO it's big",
		"\x1b[32;1m$ cat <<EOF # collapsed multi-line command\x1b[0;m", dir,
		"\x1b[32;1m$ set +e\x1b[0;m", "\x1b[32;1m$ false\x1b[0;m", "\x1b[32;1m$ set -e\x1b[0;m", "",
		"\x1b[32;1m$ (exit 5)\x1b[0;m",
	}, "\n") + "\n"
	for _, shell := range []string{"/bin/bash", "/usr/bin/dash", busybox} {
		t.Run(shell, func(t *testing.T) {
			s := script{shell: shell, dir: dir, assign: []variable{{"BIG", "it's big"}}}
			file := filepath.Join(t.TempDir(), "script")
			if err := os.WriteFile(file, []byte(s.text(step)), 0o600); err != nil {
				t.Fatal(err)
			}
			out, err := exec.Command(shell, file).CombinedOutput()
			if code := exitCode(err); code != 5 {
				t.Errorf("exit code %d, want 5", code)
			}
			// dash's echo knows escapes.
			got := strings.NewReplacer("\na\\nb it's", "\nECHO it's", "\na\nb it's", "\nECHO it's").Replace(string(out))
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("output (-want +got):\n%s", diff)
			}
		})
	}
}

func exitCode(err error) int {
	if exit := new(exec.ExitError); errors.As(err, &exit) {
		return exit.ExitCode()
	}
	return 0
}

func TestEveryShellEndsOnSIGTERM(t *testing.T) {
	for _, shell := range []string{"/bin/bash", "/usr/bin/dash"} {
		s := script{shell: shell, dir: "/"}
		cmd := exec.Command(shell, "-c", s.text(job.BuildStep{Script: []string{"kill -TERM $$", "sleep 1", "echo on"}}))
		out, err := cmd.CombinedOutput()
		if exitCode(err) != 1 {
			t.Errorf("%s: %v, want exit code 1; output %q", shell, err, out)
		}
	}
}
