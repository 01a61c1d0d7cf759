package lifecycle

import (
	"time"

	"github.com/runnerd/runnerd/pkg/job"
)

// An Observer is told how a job goes on; it counts, and draws the job's time. It must
// not block. Its methods are not called concurrently, but for Phase, which any
// goroutine may call at any time until Finish, Leave or GaveBack.
type Observer interface {
	Stage(name string)        // the job is in that stage now
	Phase(p Phase)            // a part of the job's time is over
	Remade()                  // what the job ran in was lost before its script began, and is made anew
	Lost(bytes int64)         // so much of the log nobody can read any more
	Finish(reason job.Reason) // the reason as runnerd sees it; empty for success
	Leave()                   // instead of Finish: another process goes on with the job
	GaveBack(why string)      // instead of Finish: GitLab has the job again, for a reason as in executor.FullError, or "stop"
}

// A Beginning is what an Observer is made for.
type Beginning struct {
	Job      *job.Job
	Received time.Time       // when the job's time began
	Adopted  bool            // another process has begun it, and counted that
	Inputs   bool            // the job has inputs that were put into its definition,
	Problem  *job.InputError // or could not be
}

// A Phase is a part of a job's time that is over: a stage of GitLab Runner's names, as
// the helper tells, a part of the start (see executor.Task), or one of those below.
type Phase struct {
	Name     string
	From, To time.Time // what the helper tells of by the pod's clock, else by this process's
	Repeated bool      // the process before has told of it, with the same times
}

// The phases that are the daemon's own.
const (
	PhasePrepare = preparePhase // from the job's arrival until the helper begins
	PhaseJudge   = "judge"      // until the policy has decided
	PhaseSecrets = secretsPhase
	PhaseReport  = "report" // from the job's end until GitLab has its log and result
)

// timed tells the observer of a phase of the daemon's own that began at from.
func (a *attempt) timed(name string, from time.Time) {
	a.observer.Phase(Phase{Name: name, From: from, To: time.Now()})
}

// stage takes from the helper that a stage begins or is over.
func (a *attempt) stage(e job.Event) {
	repeated := a.lines.journal.behind()
	if e.Phase.Done {
		a.observer.Phase(Phase{Name: e.Phase.Name, From: e.Time.Add(-e.Phase.Took), To: e.Time, Repeated: repeated})
		return
	}
	if !a.prepared {
		a.prepared = true
		a.observer.Phase(Phase{Name: PhasePrepare, From: a.received, To: e.Time, Repeated: repeated})
	}
	a.observer.Stage(e.Phase.Name)
}
