package agent

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/runnerd/runnerd/pkg/job"
)

// run runs step n and returns how it ended. Its output is in the spool file as
// a whole then.
func (b *builder) run(ctx context.Context, n int, request stepRequest) stepResult {
	result, err := b.tryRun(ctx, n, request)
	if err != nil {
		return stepResult{Error: err.Error()}
	}
	return result
}

func (b *builder) tryRun(ctx context.Context, n int, request stepRequest) (stepResult, error) {
	step, ok := b.step(request.Name)
	if !ok {
		return stepResult{}, fmt.Errorf("step %q is not in the build container's plan", request.Name)
	}
	spool, err := b.createSpool(ctx, n)
	if err != nil {
		return stepResult{}, err
	}
	defer spool.Close()

	defer os.Remove(b.scriptPath(n)) // unless the script itself has
	cmd, err := b.command(n, step, request.Status, spool)
	if err != nil {
		return stepResult{}, err
	}
	out, err := newCapture(spool)
	if err != nil {
		return stepResult{}, err
	}
	b.captures = append(b.captures, out)
	before := readMemory(cgroupRoot)
	cmd.Stdout, cmd.Stderr = out.write, out.write
	shell, err := b.procs.start(cmd)
	out.started()
	if err != nil {
		return stepResult{}, err
	}
	b.groups = append(b.groups, shell.pid)
	go out.Run() // end waits for it
	terminated := b.await(ctx, n, shell)
	if err := out.end(); err != nil {
		return stepResult{}, fmt.Errorf("store the step's output: %w", err)
	}
	return stepResult{ExitCode: shell.exitCode(), Terminated: terminated, Memory: readMemory(cgroupRoot).warning("build", before)}, nil
}

// command writes the step's script and returns the shell that runs it.
func (b *builder) command(n int, step job.BuildStep, status string, spool io.Writer) (*exec.Cmd, error) {
	trusted, err := b.trust()
	if err != nil {
		return nil, err
	}
	env, err := buildEnviron(&b.plan, trusted, status, b.private)
	if err != nil {
		return nil, err
	}
	vars, assign, warnings := env.split()
	for _, w := range warnings {
		if _, err := fmt.Fprintf(spool, "\x1b[0;33mWARNING: %s\x1b[0;m\n", w); err != nil {
			return nil, fmt.Errorf("store the step's output: %w", err)
		}
	}
	s := script{shell: b.shell, dir: b.plan.ProjectDir, assign: assign, debug: b.plan.Debug, sections: b.plan.Sections}
	if err := os.WriteFile(b.scriptPath(n), []byte(s.text(step)), 0o600); err != nil {
		return nil, fmt.Errorf("write the step's script: %w", err)
	}
	return &exec.Cmd{
		Path: b.shell,
		Args: []string{filepath.Base(b.shell), b.scriptPath(n)},
		Env:  vars,
	}, nil
}

// await waits for the step's shell and ends it when it has to. terminated says
// that this was not what the helper wanted.
func (b *builder) await(ctx context.Context, n int, shell *process) (terminated bool) {
	ended := ctx.Done()
	var kill <-chan time.Time
	grace := time.Minute // the most that a stop may ask for
	end := func(d time.Duration) {
		if d >= grace {
			return
		}
		grace, kill = d, time.After(d)
		shell.signal(syscall.SIGTERM)
	}
	for {
		select {
		case <-shell.done:
			return terminated
		case <-kill:
			shell.signal(syscall.SIGKILL)
			kill = nil
			continue
		case <-ended:
			ended, terminated = nil, true
			end(stopGrace)
			continue
		case <-b.watch.C:
		}
		var stop stopRequest
		// A stop that cannot be read is one all the same.
		if found, err := b.share.read(stopFile(n), &stop); found || err != nil {
			end(max(stop.Grace, 0))
		} else if b.helperGone() {
			terminated = true
			end(stopGrace)
		}
	}
}
