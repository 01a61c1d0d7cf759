package agent

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/runnerd/runnerd/pkg/job"
)

// hooks runs scripts in the helper container, each in a shell of its own. They
// see the job's variables and git's configuration, which they may add to with
// "git config --global".
func (c *checkout) hooks(ctx context.Context, name string, scripts []string, dir string) error {
	if len(scripts) == 0 {
		return nil
	}
	shell := findShell()
	if shell == "" {
		return job.Failf(job.RunnerConfigurationError, "%s: no shell (bash or sh) in the helper image", name)
	}
	vars, assign, warnings := c.hookEnviron().split()
	for _, w := range warnings {
		c.log.Warn(w)
	}
	for _, text := range scripts {
		s := script{shell: shell, dir: dir, assign: assign}
		path := filepath.Join(c.private, name)
		if err := os.WriteFile(path, []byte(s.text(job.BuildStep{Script: []string{text}})), 0o600); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		cmd := &exec.Cmd{Path: shell, Args: []string{filepath.Base(shell), path}, Env: vars}
		code, err := c.execute(ctx, cmd, nil)
		_ = os.Remove(path) // unless the hook itself has
		if err != nil {
			return err
		}
		if code != 0 {
			return exitFailure(name, code)
		}
	}
	return nil
}

// hookEnviron is the environment of a hook: the container's, the job's
// variables, and what git needs.
func (c *checkout) hookEnviron() *environ {
	env := newEnviron(os.Environ())
	for _, v := range c.plan.Variables {
		if v.File {
			env.set(v.Key, filepath.Join(c.plan.TempDir, v.Key))
		} else {
			env.set(v.Key, v.Value)
		}
	}
	path := env.get("PATH")
	git := newEnviron(c.env)
	for _, v := range git.list {
		env.set(v.key, v.value)
	}
	if path != "" {
		env.set("PATH", path)
	}
	return env
}
