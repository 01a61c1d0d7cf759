package agent

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/runnerd/runnerd/pkg/job"
)

// script runs the job's steps in the build container, and after_script.
func (h *helper) script(ctx context.Context, caches *caches) error {
	if len(h.plan.Steps) == 0 {
		return nil
	}
	if err := h.awaitBuild(ctx); err != nil {
		return err
	}
	if err := h.giveProject(); err != nil {
		return err
	}
	if _, err := h.project(); err != nil {
		return err
	}
	caches.settle(ctx)
	scriptCtx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	h.cancel.aim(cancel)
	err := h.awaitServices(scriptCtx)
	began := time.Now()
	for _, step := range h.plan.Steps {
		if !step.After && err == nil {
			err = h.scriptStep(scriptCtx, step, began)
		}
	}
	h.cancel.aim(nil) // from here on a cancel changes nothing any more
	for _, step := range h.plan.Steps {
		if !step.After || ctx.Err() != nil || errors.Is(err, errBuildGone) || errors.Is(err, errCluster) {
			continue
		}
		failed := h.afterStep(ctx, step, jobStatus(err))
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err == nil && failed != nil && h.plan.AfterScriptMustSucceed {
			err = failed
		}
	}
	return err
}

// scriptStep runs a step of the script. Its timeout counts from the first one.
func (h *helper) scriptStep(ctx context.Context, step job.HelperStep, began time.Time) error {
	if step.Timeout > 0 {
		late := job.Failf(job.JobExecutionTimeout, "script took longer than %s (RUNNER_SCRIPT_TIMEOUT)", step.Timeout)
		limited, release := context.WithDeadlineCause(ctx, began.Add(step.Timeout), late)
		defer release()
		ctx = limited
	}
	return h.phase(ctx, step.Phase, step.Title, func(ctx context.Context) error {
		return h.step(ctx, step, "running")
	})
}

// afterStep runs after_script. Its failure is only a warning, unless the user
// wants it otherwise.
func (h *helper) afterStep(ctx context.Context, step job.HelperStep, status string) error {
	if step.Timeout > 0 {
		late := job.Failf(job.JobExecutionTimeout, "after_script took longer than %s (RUNNER_AFTER_SCRIPT_TIMEOUT)", step.Timeout)
		limited, release := context.WithTimeoutCause(ctx, step.Timeout, late)
		defer release()
		ctx = limited
	}
	return h.phase(ctx, step.Phase, step.Title, func(ctx context.Context) error {
		err := h.writeFileVariables()
		if err == nil {
			err = cause(ctx, h.step(ctx, step, status))
		}
		if err != nil && !h.plan.AfterScriptMustSucceed {
			h.log.Warn(fmt.Sprintf("after_script failed, but job will continue unaffected: %v", err))
		}
		return err
	})
}

// jobStatus is what after_script finds in CI_JOB_STATUS.
func jobStatus(err error) string {
	var failure *job.Failure
	switch {
	case err == nil:
		return "success"
	case errors.Is(err, errCanceled):
		return "canceled"
	case errors.As(err, &failure) && failure.Reason == job.JobExecutionTimeout:
		return "timedout"
	}
	return "failed"
}

// step runs one step in the build container.
func (h *helper) step(ctx context.Context, step job.HelperStep, status string) error {
	result, err := h.ask(ctx, stepRequest{Name: step.Name, Status: status})
	if ended := ctx.Err(); ended != nil && isTimeout(context.Cause(ctx)) {
		h.log.Warn(step.Phase + " could not run to completion because the timeout was exceeded. " +
			"For more control over job and script timeouts see: " +
			"https://docs.gitlab.com/ci/runners/configure_runners/#set-script-and-after_script-timeouts")
	}
	if err == nil && result.Memory != "" {
		h.log.Warn(result.Memory)
	}
	switch {
	case err != nil:
		return err
	case result.Error != "":
		return job.Failf(job.RunnerSystemFailure, "%s: %s", step.Phase, result.Error)
	case result.Terminated:
		return errCluster
	case result.ExitCode != 0:
		return exitFailure("", result.ExitCode)
	}
	return context.Cause(ctx) // a script that was stopped did not succeed
}

func isTimeout(err error) bool {
	var failure *job.Failure
	return errors.Is(err, errTimeout) || errors.As(err, &failure) && failure.Reason == job.JobExecutionTimeout
}
