package job

import (
	"fmt"
	"time"
)

// Running is the state of a job that runnerd works on. It is only ever sent to
// GitLab; an [Outcome] never has it.
const Running State = "running"

// Pending is the state of a job that GitLab is to keep waiting for runnerd, where it
// can (two-phase commit). It is only ever sent to GitLab, too.
const Pending State = "pending"

// Credentials are what a call about one job needs.
type Credentials struct {
	ID    int64
	Token Secret // job token
}

// An Offer is GitLab's answer to a request for a job.
type Offer struct {
	Job        *Job   // nil: nothing to do
	LastUpdate string // opaque; to be sent with the next request. Empty: keep the value before
}

// An Update says how a job is doing.
type Update struct {
	State    State      // Running, Success or Failed, and Pending before; GitLab knows no other from a runner
	Reason   Reason     // only with Failed; one that the server supports
	ExitCode int        // only with Failed; 0 is not sent
	Log      *LogDigest // of all that was written; nil only in updates before the first one that says Running, and in that
}

// A LogDigest describes the bytes of a log from its first one.
type LogDigest struct {
	CRC   uint32 // CRC-32, IEEE polynomial
	Bytes int64
}

// An Answer is what GitLab said to an update or to a piece of the log. That
// GitLab refused is an Answer too; an error means that there was none.
type Answer struct {
	Status     int           // HTTP status
	JobState   string        // Job-Status: running, canceling, canceled, failed, …; may be empty
	Interval   time.Duration // X-GitLab-Trace-Update-Interval; 0 when the answer has none
	RetryAfter time.Duration // how long GitLab asks to be left alone; 0 when it does not say
	Length     int64         // of the log at GitLab in bytes, the next offset to send; -1 when unknown
	Message    string        // of a refusal, for runnerd's log
	RequestID  string        // GitLab's correlation id
}

// A DamagedError is a job that GitLab has handed out and that cannot be read.
// GitLab takes it for running, so somebody has to report it failed.
type DamagedError struct {
	Credentials
	Err error
}

func (e *DamagedError) Error() string {
	return fmt.Sprintf("job %d: payload cannot be read: %v", e.ID, e.Err)
}

func (e *DamagedError) Unwrap() error { return e.Err }
