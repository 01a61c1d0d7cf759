package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/runnerd/runnerd/pkg/executor"
	"github.com/runnerd/runnerd/pkg/job"
)

func TestOutcomeOf(t *testing.T) {
	tests := []struct {
		name   string
		err    error
		reason job.Reason // "" means that nothing is reported
	}{
		{"over at GitLab", fmt.Errorf("run: %w", executor.ErrAborted), ""},
		{"let go", executor.ErrDetached, ""},
		{"classified", fmt.Errorf("pod: %w", job.Failf(job.ImagePullFailure, "no such image")), job.ImagePullFailure},
		{"deadline", errDeadline, job.JobExecutionTimeout},
		{"interrupted", errInterrupted, job.RunnerInterrupted},
		{"anything else", context.DeadlineExceeded, job.RunnerSystemFailure},
		{"unknown", errors.New("boom"), job.RunnerSystemFailure},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			o := outcomeOf(tt.err, time.Hour)
			if (o == nil) != (tt.reason == "") {
				t.Fatalf("outcomeOf(%v) = %+v, want reason %q", tt.err, o, tt.reason)
			}
			if o != nil && (o.Reason != tt.reason || o.State != job.Failed || o.Message == "") {
				t.Errorf("outcomeOf(%v) = %+v, want %s", tt.err, o, tt.reason)
			}
		})
	}
}

func TestReported(t *testing.T) {
	tests := []struct {
		reason    job.Reason
		supported []string
		want      job.Reason
	}{
		{job.NoReason, nil, job.ScriptFailure},
		{job.RunnerSystemFailure, nil, job.RunnerSystemFailure},
		{job.JobExecutionTimeout, nil, job.JobExecutionTimeout},
		{job.ImagePullFailure, []string{"runner_configuration_error"}, job.RunnerSystemFailure},
		{job.RunnerConfigurationError, nil, job.ScriptFailure},
		{job.RunnerConfigurationError, []string{"runner_configuration_error"}, job.RunnerConfigurationError},
		{job.ExternalDependencyFailure, nil, job.RunnerSystemFailure},
		{job.RunnerInterrupted, nil, job.UnknownFailure},
		{job.RunnerInterrupted, []string{"runner_interrupted"}, job.RunnerInterrupted},
		{job.JobCanceled, []string{"runner_interrupted"}, job.UnknownFailure},
	}
	for _, tt := range tests {
		if got := reported(tt.reason, tt.supported); got != tt.want {
			t.Errorf("reported(%q, %q) = %q, want %q", tt.reason, tt.supported, got, tt.want)
		}
	}
}
