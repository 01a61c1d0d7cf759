package agent

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/runnerd/runnerd/pkg/confine"
)

// maxUntracked bounds the list of untracked files, in bytes.
const maxUntracked = 256 << 20

// untracked lists the files of the project that git does not track, ignored
// ones too. By now a script may have rewritten the repository's configuration:
// what could make git run a program is switched off on the command line, which
// beats every file.
func (h *helper) untracked(ctx context.Context, project *confine.Root) ([]string, error) {
	git, err := findProgram("git")
	if err != nil {
		return nil, fmt.Errorf("find git in the helper image: %w", err)
	}
	home := filepath.Join(h.private, "home")
	if err := os.MkdirAll(home, 0o755); err != nil {
		return nil, err
	}
	list, err := os.CreateTemp(h.private, "untracked-")
	if err != nil {
		return nil, err
	}
	defer os.Remove(list.Name())
	defer list.Close()
	cmd := &exec.Cmd{
		// The directory that project is, wherever its path leads by now.
		Path: git, Dir: fmt.Sprintf("/proc/self/fd/%d", project.Fd()), Stdout: list,
		Args: []string{"git", "-c", "safe.directory=*", "-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null", "ls-files", "-o", "-z"},
		Env:  gitEnv(os.DevNull, home, nil),
	}
	started, err := h.procs.start(cmd)
	if err != nil {
		return nil, err
	}
	select {
	case <-started.done:
	case <-ctx.Done():
		started.stop(stopGrace, h.aborted)
		return nil, context.Cause(ctx)
	}
	if code := started.exitCode(); code != 0 {
		return nil, fmt.Errorf("git ls-files ended with exit code %d", code)
	}
	if _, err := list.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	text, err := io.ReadAll(io.LimitReader(list, maxUntracked+1))
	if err != nil {
		return nil, err
	}
	if len(text) > maxUntracked {
		return nil, fmt.Errorf("their list is longer than %d bytes", maxUntracked)
	}
	if len(text) == 0 {
		return nil, nil
	}
	return strings.Split(strings.TrimSuffix(string(text), "\x00"), "\x00"), nil
}
