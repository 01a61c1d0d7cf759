package agent

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/runnerd/runnerd/pkg/job"
)

// cleanupTime bounds the work after the job's own time.
const cleanupTime = 30 * time.Second

// run carries out the job's phases, one after the other.
//
// The order, and what a failure skips, is GitLab Runner's: without sources
// there is no script and no after_script; after_script runs whatever the
// script did, unless the job as a whole was ended.
func (h *helper) run(ctx context.Context) job.Result {
	err := h.held(ctx)
	ended := ctx
	if h.plan.Timeout > 0 {
		limited, release := context.WithTimeoutCause(ctx, h.plan.Timeout, errTimeout)
		defer release()
		ended = limited
	}
	if err == nil {
		err = h.prepare(ended)
	}
	if err == nil {
		err = h.work(ended)
	}
	if problem := h.share.write(exitFile, exitNotice{Failed: err != nil}); problem != nil {
		h.log.Warn(problem.Error()) // the build side ends with this process at the latest
	}
	if !errors.Is(err, errAborted) {
		h.cleanup()
	}
	stopped := errors.Is(err, errCluster) || errors.Is(err, errSuperseded)
	return job.Result{
		Outcome: h.outcome(err), Stopped: stopped, Unbegun: stopped && h.asked == 0, BuildGone: errors.Is(err, errBuildGone),
	}
}

// held waits until the job may begin.
func (h *helper) held(ctx context.Context) error {
	if !h.plan.Held {
		return nil
	}
	select {
	case <-h.goes:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// work is what a job does once its directories are there. Caches are saved and
// artifacts sent whatever became of the script, unless the job as a whole was
// ended.
func (h *helper) work(ctx context.Context) error {
	caches, err := h.openCaches()
	if err != nil {
		return err
	}
	defer caches.close()
	artifacts, err := h.openArtifacts()
	if err != nil {
		return err
	}
	defer artifacts.close()
	defer h.closeProject()
	err = h.sources(ctx)
	if h.sourcesLate(err) {
		return err // GitLab Runner ends the job there, too
	}
	if err == nil {
		err = caches.restore(ctx)
	}
	if err == nil {
		err = artifacts.download(ctx)
	}
	if err == nil {
		err = h.script(ctx, caches)
	}
	caches.save(ctx, err)
	if failed := artifacts.upload(ctx, err); err == nil {
		err = failed
	}
	return cause(ctx, err)
}

// phase runs do as the phase name: in its own section of the log, and with
// events at both ends.
func (h *helper) phase(ctx context.Context, name, title string, do func(context.Context) error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	h.log.Section(name, title)
	h.event(job.Event{Phase: &job.PhaseEvent{Name: name}})
	began := time.Now()
	err := cause(ctx, do(ctx))
	h.log.EndSection(name)
	h.event(job.Event{Phase: &job.PhaseEvent{Name: name, Done: true, Took: time.Since(began)}})
	return err
}

// cleanup removes what only the job was to see. It also runs when the job's
// time is over.
func (h *helper) cleanup() {
	ctx, release := context.WithTimeout(context.Background(), cleanupTime)
	defer release()
	err := h.phase(ctx, "cleanup_file_variables", "Cleaning up project directory and file based variables", func(context.Context) error {
		return h.removeTemp()
	})
	if err != nil {
		h.log.Warn(fmt.Sprintf("file variables could not be removed: %v", err))
	}
}
