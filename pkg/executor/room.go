package executor

import (
	"context"

	"github.com/runnerd/runnerd/pkg/job"
)

// A Roomer is an Executor that knows whether it has room for one more job. Room
// returns a *FullError when it has none. taken are the jobs on hand, whether Run
// has begun for them or not; requests is how many more may come any moment.
type Roomer interface {
	Room(ctx context.Context, taken []int64, requests int) error
}

// What a FullError may be for.
const (
	FullQuota         = "quota"         // of the namespace
	FullUnschedulable = "unschedulable" // pods wait for a node
	FullProject       = "project_limit" // a job waits for others of its project
	FullLease         = "lease"         // other replicas may take this process for dead
)

// A FullError says why no further job should be taken.
type FullError struct {
	For  string // for metrics
	Text string // for people
}

func (e *FullError) Error() string { return e.Text }

// Reason names the error in metrics.
func (e *FullError) Reason() string { return e.For }

// An UnplacedError says that the place found no room for a job within its time.
// Nothing of the job has begun.
type UnplacedError struct {
	For     string // as in FullError
	Failure *job.Failure
}

func (e *UnplacedError) Error() string { return e.Failure.Message }

// Unwrap returns the failure.
func (e *UnplacedError) Unwrap() error { return e.Failure }
