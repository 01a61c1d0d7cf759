package executor

import (
	"context"
	"errors"
	"time"

	"github.com/runnerd/runnerd/pkg/job"
)

// A Recorder is an Executor whose jobs live on when this process ends, and that
// keeps for the next one what it has to know of them.
type Recorder interface {
	// Begin makes the record of plan's job, with data. ErrUnrecorded says why there
	// is none; the job then runs without.
	Begin(ctx context.Context, plan *job.Plan, data []byte) error

	// Extend adds data under a name to the record. To do the same twice is to do
	// it once.
	Extend(ctx context.Context, plan *job.Plan, name string, data []byte) error

	// Records returns the records of jobs that no Remove has ended and whose process
	// is dead, and makes these jobs this process's own: no other one gets them from
	// then on, and none of what is said under another process's name is taken. With
	// earlier they include those of an earlier process of the same manager. Remove
	// ends a record before all else.
	Records(ctx context.Context, earlier bool) ([]Record, error)

	// Own returns when it is certain that the recorded job is still this process's
	// own. While others may take this process for dead, it waits. The context that it
	// returns ends when they may do so again, or with the returned call. ErrDetached
	// says that another process has the job.
	Own(ctx context.Context, plan *job.Plan) (context.Context, context.CancelFunc, error)

	// Ended returns when what the job was last begun in (see [Record]) has ended, as
	// far as is known: the zero time while it runs. It does not block.
	Ended(plan *job.Plan, started string) time.Time
}

// A Record is what an earlier process has written down of a job.
type Record struct {
	JobID int64
	Begin []byte            // as given to Begin
	More  map[string][]byte // as given to Extend
	// Started names what the job was last begun in, and that was let through: it
	// must not be made again. It is the place's own word.
	Started string
}

// An Adoption is what Run needs to know to go on with a job that another process
// has begun.
type Adoption struct {
	Started string   // see Record
	Earlier []string // what Task.Again was told, in order

	// Repeating reports whether the log has not come yet to where the process before
	// has left it. It does not block. What the place finds out otherwise about the job
	// has to wait so long: the process before may have written behind it.
	Repeating func() bool
}

// ErrUnrecorded says that a job has no record, and cannot be adopted.
var ErrUnrecorded = errors.New("no process can go on with the job after this one")
