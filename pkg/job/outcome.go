package job

import "fmt"

// A State is how a job ended, as its author sees it.
type State string

// The states in which a job can end.
const (
	Success  State = "success"
	Failed   State = "failed"
	Canceled State = "canceled"
)

// A Reason is one of GitLab's failure reasons.
// Source: GitLab's list of CI failure reasons that a runner may send.
type Reason string

// The failure reasons that runnerd uses. Not every server knows every one;
// pkg/lifecycle maps them to what the server supports.
const (
	NoReason                  Reason = ""
	ScriptFailure             Reason = "script_failure"
	RunnerSystemFailure       Reason = "runner_system_failure"
	JobExecutionTimeout       Reason = "job_execution_timeout"
	RunnerConfigurationError  Reason = "runner_configuration_error"
	ExternalDependencyFailure Reason = "runner_external_dependency_failure"
	ImagePullFailure          Reason = "image_pull_failure"
	RunnerInterrupted         Reason = "runner_interrupted"
	UnknownFailure            Reason = "unknown_failure"
	JobCanceled               Reason = "job_canceled"
)

// An Outcome is how a job ended. A failing script is an Outcome, not an error.
type Outcome struct {
	State    State  `json:"state"`
	Reason   Reason `json:"reason,omitempty"`    // set unless State is Success
	ExitCode int    `json:"exit_code,omitempty"` // of the process that failed the script; 0 when there is none
	Message  string `json:"message,omitempty"`   // one line for the job's author
}

// A Failure is an error that already knows its failure reason.
type Failure struct {
	Reason   Reason
	Message  string // one line for the job's author; says what to do
	ExitCode int
}

func (f *Failure) Error() string { return f.Message }

// Failf makes a Failure with a formatted message.
func Failf(reason Reason, format string, args ...any) *Failure {
	return &Failure{Reason: reason, Message: fmt.Sprintf(format, args...)}
}

// A Signal is what the server or an operator tells a running job.
type Signal int

// The signals. Each is a step further than the one before.
const (
	// CancelGracefully stops the script; after_script and the rest still run.
	CancelGracefully Signal = iota + 1
	// Abort stops everything: the server does not want to hear of the job again.
	Abort
)
