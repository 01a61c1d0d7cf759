// Package executor says what a place that runs jobs has to offer.
//
// Two places exist: executor/kubernetes, where a job is a pod, and
// executor/local, where it is a pair of processes on this host. Both run the
// same agent and get the same framed stream out of it; package
// executor/relay turns that stream into log bytes, events and a result.
package executor

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/runnerd/runnerd/pkg/job"
)

// An Executor runs jobs. It is safe for concurrent use.
type Executor interface {
	// Run carries out task's plan and returns how the job ended. It blocks until
	// the job's log is complete in task.Log.
	//
	// A failing script is an Outcome with a nil error. An error means that the
	// place could not run the job to its end; it is a *job.Failure when the
	// reason is known. When ctx ends, Run stops at once and returns
	// context.Cause(ctx); what runs is then still there, until Remove.
	Run(ctx context.Context, task Task) (job.Outcome, error)

	// Remove deletes what task left behind (pod, Secret, processes, folders) and
	// returns when it is gone. It may be called when Run failed or never began,
	// and twice. The caller has made sure that GitLab has the log and the result,
	// or that nobody wants them.
	Remove(ctx context.Context, task Task) error

	// Keep sees to it that what a failed job ran in stays for a while after
	// Remove, for people to look into, and returns a line that tells them where it
	// is. "" means that nothing is kept. It is called between Run and Remove.
	Keep(ctx context.Context, task Task) string
}

// A Task is one job to run.
type Task struct {
	Plan *job.Plan

	// Log takes the bytes of the job's log, in order, each once. Write blocks
	// while GitLab is behind; the executor then reads no further.
	Log io.Writer

	// Admit judges the images of the job's containers as the place is about to
	// run them, and again as it does when something has changed them on the way
	// (an admission webhook). Its error, a *job.Failure, ends the job. It may be
	// nil, and is not called where there are no images.
	Admit func([]Container) error

	// Lost is told that bytes of the log are missing before what is written next:
	// nobody can read or make them again. It may be nil.
	Lost func(bytes int64)

	// Notes takes lines from the executor to the job's author, one call a line:
	// which namespace and image, what the job waits for. It is only used before
	// the first byte of Log, and when the job begins anew after that.
	Notes Notes

	// Services takes what the job's services print, when the plan's DebugServices
	// wants it, and how they ended, while Run goes on. It may be nil.
	Services Services

	// Placed is called when it is certain where the job runs, and returns when that
	// has been confirmed; only then does a plan begin that is held. It may be called
	// more than once, and from a goroutine of its own. When it fails, Run's context
	// ends, too. It may be nil.
	Placed func(ctx context.Context) error

	// Signals carries a cancel to the job while Run is going on. An Abort comes
	// as the end of Run's context instead.
	Signals <-chan job.Signal

	// Recorded makes the job's record, once, before anything is made that could
	// outlive this process; its error ends Run. It may be nil.
	Recorded func(ctx context.Context) error

	// Again is told, before the job begins anew, what for: Lost, or what cannot be
	// had. Its error ends Run. It may be nil.
	Again func(ctx context.Context, what string) error

	// Adopted is set when another process has begun the job. Log then gets the
	// job's log from its first byte on, as that process has got it.
	Adopted *Adoption

	// Kept says to Remove that Keep has kept something.
	Kept bool

	// OnEvent is told of phases as they begin and end. It must not block.
	OnEvent func(job.Event)

	// Took is told how long a part of the start took, Creating, Scheduling or Pulling,
	// when that is over, by this process's clock. Of what was over before Run has looked
	// it is not told. It must not block; it may be called from any goroutine, and may
	// be nil.
	Took func(part string, from, to time.Time)
}

// The parts of the start of what a job runs in.
const (
	Creating   = "create"   // until the cluster has it, with what it needs
	Scheduling = "schedule" // until it has a node
	Pulling    = "pull"     // until the last of its containers runs, with its image
)

// Lost is what a job begins anew for when the place has lost what it ran in, before
// a script began.
const Lost = "pod"

// A Container is one of a job's containers; the place's own are none of them.
type Container struct {
	Service int // position in Plan.Services; -1 for the build
	Image   string
}

// Notes takes lines for the job's log.
type Notes interface {
	Info(line string)
	Warn(line string)
}

// Services takes lines about a job's services to its log, between those of Log.
// Its methods may be called concurrently; n is a position in Plan.Services.
type Services interface {
	// Since returns the time of the last line of the service that was printed, by
	// this process or the one before; "" when there was none.
	Since(n int) string
	// Print says that the service has printed line, which has no line feed. at is
	// its time as the place writes it: in a service's log times grow as text.
	Print(n int, at, line string)
	// Warning says that something happened to the service, and what it has printed
	// last if that is not known.
	Warning(n int, warning string, last ...string)
}

// ErrDetached is the cause of a context that ends because this process lets go
// of a job that shall live on: another process will adopt it.
var ErrDetached = errors.New("detached from the job")

// ErrAborted is the cause of a context that ends because GitLab does not want
// the job any more.
var ErrAborted = errors.New("job is over at GitLab")

// GracePeriod is how long processes have between the polite and the hard stop.
const GracePeriod = 5 * time.Second
