package lifecycle

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/runnerd/runnerd/pkg/executor"
	"github.com/runnerd/runnerd/pkg/job"
	"github.com/runnerd/runnerd/pkg/trace"
)

// The causes with which this package ends a job's context.
var (
	errInterrupted = errors.New("runnerd was asked to stop while the job ran")
	errDeadline    = errors.New("the job's timeout is over")
)

// outcomeOf is the one table from errors to failure reasons. A nil outcome
// means that nothing is to be reported: GitLab does not want the job any more,
// or another process goes on with it.
func outcomeOf(err error, timeout time.Duration) *job.Outcome {
	var failure *job.Failure
	switch {
	case errors.Is(err, executor.ErrAborted), errors.Is(err, executor.ErrDetached), errors.Is(err, trace.ErrOver):
		return nil
	case errors.As(err, &failure):
		return failed(failure.Reason, failure.ExitCode, failure.Message)
	case errors.Is(err, errDeadline):
		return failed(job.JobExecutionTimeout, 0, fmt.Sprintf("execution took longer than %v seconds", timeout))
	case errors.Is(err, errInterrupted):
		return failed(job.RunnerInterrupted, 0, err.Error())
	}
	return failed(job.RunnerSystemFailure, 0, err.Error())
}

func failed(reason job.Reason, exitCode int, message string) *job.Outcome {
	return &job.Outcome{State: job.Failed, Reason: reason, ExitCode: exitCode, Message: message}
}

// reported maps a reason to one that the server knows.
// Source: GitLab Runner's failure reason mapper.
func reported(reason job.Reason, supported []string) job.Reason {
	switch {
	case reason == job.NoReason:
		return job.ScriptFailure
	case reason == job.ScriptFailure, reason == job.RunnerSystemFailure, reason == job.JobExecutionTimeout,
		slices.Contains(supported, string(reason)):
		return reason
	case reason == job.ImagePullFailure, reason == job.ExternalDependencyFailure:
		return job.RunnerSystemFailure
	case reason == job.RunnerConfigurationError:
		return job.ScriptFailure
	}
	return job.UnknownFailure
}

// epitaph is the last line of a failed job's log.
func epitaph(o job.Outcome) string {
	if o.Reason == job.RunnerSystemFailure {
		return "Job failed (system failure): " + o.Message
	}
	return "Job failed: " + o.Message
}
