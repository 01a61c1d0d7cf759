package agent

import (
	"bufio"
	"fmt"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/runnerd/runnerd/pkg/job"
)

// envFileName is GITLAB_ENV's name in the temporary directory.
const envFileName = "gitlab_runner_env"

// finalVariables are the job's variables and what its steps have left in
// GITLAB_ENV: paths of caches and artifacts are expanded when they are saved.
func (h *helper) finalVariables() []job.Variable {
	vars := slices.Clone(h.plan.Variables)
	if h.temp == nil {
		return vars
	}
	// A script may have put anything in its place, also what cannot be read to
	// an end.
	file, err := h.temp.OpenFile(envFileName, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return vars
	}
	defer file.Close()
	if info, err := file.Stat(); err != nil || !info.Mode().IsRegular() {
		h.log.Warn(fmt.Sprintf("GITLAB_ENV is no regular file and was not read (%v)", err))
		return vars
	}
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, maxEnviron)
	for lines.Scan() {
		if key, value, ok := strings.Cut(lines.Text(), "="); ok {
			vars = append(vars, job.Variable{Key: key, Value: value, Raw: true})
		}
	}
	if err := lines.Err(); err != nil {
		h.log.Warn(fmt.Sprintf("GITLAB_ENV was not read to its end: %v", err))
	}
	return vars
}

// expandPaths expands variables in globs.
func (h *helper) expandPaths(paths []string) []string {
	return h.expandEach(paths, h.finalVariables())
}

func (h *helper) expandEach(paths []string, vars []job.Variable) []string {
	out := make([]string, 0, len(paths))
	for _, path := range paths {
		out = append(out, job.Expand(path, vars, h.plan.TempDir))
	}
	return out
}
