// Package local runs jobs as processes on this host: the agent's helper and
// build, which elsewhere are the two containers of a pod. It is what `runnerd
// demo` and fast tests use.
//
// A job's scripts run with the rights of this process: nothing keeps them from
// reading or changing whatever that user can. The job's image is judged by
// policy as everywhere, and then ignored.
package local

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"go.uber.org/zap"

	"github.com/runnerd/runnerd/pkg/executor"
	"github.com/runnerd/runnerd/pkg/executor/relay"
	"github.com/runnerd/runnerd/pkg/job"
)

// Config says where jobs run.
type Config struct {
	Agent string // path of the runnerd-agent binary
	Root  string // folder for checkouts and hand-over files; made when missing
}

// Executor runs jobs on this host. It is safe for concurrent use.
type Executor struct {
	config Config
	log    *zap.Logger
}

// New returns an executor. It starts nothing.
func New(config Config, log *zap.Logger) *Executor {
	return &Executor{config: config, log: log}
}

// BuildsDir is where checkouts lie; it belongs into [job.Options].
func BuildsDir(root string) string { return filepath.Join(root, "builds") }

func (e *Executor) folder(plan *job.Plan) folder {
	return folder{root: filepath.Join(e.config.Root, "jobs", strconv.FormatInt(plan.JobID, 10))}
}

// Run implements [executor.Executor]. The processes end with ctx, whatever its
// cause: nobody could adopt them.
func (e *Executor) Run(ctx context.Context, task executor.Task) (job.Outcome, error) {
	log := e.log.With(zap.Int64("job", task.Plan.JobID))
	dir := e.folder(task.Plan)
	if err := dir.create(task.Plan); err != nil {
		return job.Outcome{}, fmt.Errorf("local executor: %w", err)
	}
	task.Notes.Info("Using the local executor: scripts run as processes on this host")
	if names := job.ServiceNames(task.Plan.Services); len(names) > 0 {
		task.Notes.Warn("The local executor has no services; the job runs without " + strings.Join(names, ", "))
	}

	stream := relay.New(task.Log, task.OnEvent, log)
	p, err := start(e.config.Agent, dir)
	if err != nil {
		return job.Outcome{}, fmt.Errorf("local executor: start %s: %w", e.config.Agent, err)
	}
	copied := make(chan error, 1)
	go func() { copied <- stream.Copy(ctx, p.frames) }()

	streamErr, runErr := e.attend(ctx, task, dir, copied)
	if runErr != nil {
		p.stop()
		if streamErr == nil {
			log.Debug("stream of a stopped job ended", zap.NamedError("stream", <-copied), zap.Error(runErr))
		}
		return job.Outcome{}, runErr
	}
	if result, ok := stream.Result(); ok {
		p.stop() // the helper of a long log stays until it is told to go
		return result.Outcome, nil
	}
	stderr := p.wait()
	return job.Outcome{}, fmt.Errorf("local executor: the job's agent ended without a result: %w", errors.Join(streamErr, stderr))
}

// attend passes signals on until the stream has ended (streamErr is then what
// Copy returned, never nil) or ctx has (runErr).
func (e *Executor) attend(ctx context.Context, task executor.Task, dir folder, copied <-chan error) (streamErr, runErr error) {
	signals := task.Signals
	for {
		select {
		case err := <-copied:
			if err == nil {
				err = errStreamEnded
			}
			return err, nil
		case <-ctx.Done():
			if err := dir.signal("stop"); err != nil {
				e.log.Warn("signal not delivered", zap.Int64("job", task.Plan.JobID), zap.Error(err))
			}
			return nil, context.Cause(ctx)
		case signal, ok := <-signals:
			if !ok {
				signals = nil
				continue
			}
			if signal != job.CancelGracefully {
				continue
			}
			if err := dir.signal("cancel"); err != nil {
				return nil, fmt.Errorf("local executor: cancel: %w", err)
			}
		}
	}
}

var errStreamEnded = errors.New("its log ended")

// Keep implements [executor.Executor]: nothing is kept.
func (*Executor) Keep(context.Context, executor.Task) string { return "" }

// Remove implements [executor.Executor].
func (e *Executor) Remove(_ context.Context, task executor.Task) error {
	plan := task.Plan
	err := errors.Join(
		os.RemoveAll(e.folder(plan).root),
		os.RemoveAll(plan.Helper.ProjectDir),
		os.RemoveAll(plan.Helper.TempDir),
	)
	if err != nil {
		return fmt.Errorf("local executor: remove job %d: %w", plan.JobID, err)
	}
	return nil
}
