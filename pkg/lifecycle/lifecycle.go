// Package lifecycle takes one job from received to reported: compile the plan,
// judge it, run it, relay its log, report how it ended, clean up.
package lifecycle

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/runnerd/runnerd/pkg/cache"
	"github.com/runnerd/runnerd/pkg/executor"
	"github.com/runnerd/runnerd/pkg/job"
	"github.com/runnerd/runnerd/pkg/judge"
	"github.com/runnerd/runnerd/pkg/secret"
	"github.com/runnerd/runnerd/pkg/trace"
)

// Options are what a Runner works with. All but Caches are needed.
type Options struct {
	Plan     job.Options // the concurrent ids are set for each job
	SystemID string
	Judge    *judge.Judge
	Executor executor.Executor
	Caches   *cache.Cache     // nil: there is no store
	Secrets  *secret.Resolver // for jobs with secrets:
	Trace    trace.Options    // Job, Debug and Log are set for each job
	Observe  func(Beginning) Observer
	Extra    func(*job.Job) []job.Variable // of that job alone, besides Plan.Environment; nil: none
	Log      *zap.Logger

	// RemoveLater lets go of a job's slot before what the executor made is
	// removed: a finished pod uses nothing but its name. Wait then waits.
	RemoveLater bool

	// ProjectLimit is how many jobs of one project may run at once; 0 means no limit.
	// Those beyond it wait, before anything is made for them.
	ProjectLimit int

	// TwoPhase has GitLab keep a job pending until it is placed, where GitLab can and
	// the executor calls Placed.
	TwoPhase bool

	// ReportTimeout is how long the end of a job may take to reach GitLab when
	// the process has been asked to stop.
	ReportTimeout time.Duration
}

// A Runner runs the jobs of one [[runners]] entry. It is safe for concurrent use.
type Runner struct {
	Options
	recorder executor.Recorder // nil: no process can go on with a job of another
	places   *places
	holds    holder
	removing sync.WaitGroup
}

// New returns a Runner. It starts nothing.
func New(o Options) *Runner {
	r := &Runner{Options: o, places: newPlaces(o.ProjectLimit), holds: holder{wanted: o.TwoPhase}}
	r.recorder, _ = o.Executor.(executor.Recorder)
	return r
}

// Wait blocks until nothing is left of the jobs that Handle has finished.
func (r *Runner) Wait() {
	r.removing.Wait()
	r.Judge.Wait()
}

// acknowledgeTimeout bounds the first word to GitLab about a job.
const acknowledgeTimeout = 10 * time.Second

const (
	// removeTimeout bounds the clean-up behind a job.
	removeTimeout = time.Minute
	// recordPatience is how long a job that GitLab has just handed out may take to get
	// its record when the process has been asked to leave its jobs to the next one.
	recordPatience = 5 * time.Second
	// lastAnswer is how long GitLab has to answer when a job's result could as well be
	// left to the next process.
	lastAnswer = 3 * time.Second
)

// Handle takes j to its end. It blocks until GitLab has the job's log and
// result, or does not want them, and, unless RemoveLater is set, nothing of the
// job is left.
//
// When ctx ends with the cause [executor.ErrDetached], a running job is left to
// the next process, if that can adopt it; one that has just come gets a moment to be
// recorded for it. Otherwise it is stopped, and reported as interrupted.
func (r *Runner) Handle(ctx context.Context, j *job.Job, concurrentID, concurrentProjectID int) {
	options := r.Plan
	options.ConcurrentID, options.ConcurrentProjectID = concurrentID, concurrentProjectID
	if r.Extra != nil {
		options.Environment = slices.Concat(options.Environment, r.Extra(j))
	}
	plan, err := job.Compile(j, options)
	r.handle(ctx, &attempt{runner: r, job: j, plan: plan, options: options}, err)
}

// Reject reports a job failed that GitLab has handed out and that cannot be
// read; otherwise it would count as running until its timeout.
func (r *Runner) Reject(ctx context.Context, damaged *job.DamagedError) {
	j := &job.Job{ID: damaged.ID, Token: damaged.Token}
	r.handle(ctx, &attempt{runner: r, job: j}, job.Failf(job.RunnerSystemFailure, "the job that GitLab sent cannot be read: %v", damaged.Err))
}

// handle takes a job to its end. planErr says why it has no plan.
func (r *Runner) handle(ctx context.Context, a *attempt, planErr error) {
	j := a.job
	log := r.Log.With(zap.Int64("job", j.ID), zap.Int64("project", j.ProjectID))
	ctx, report, stop := a.open(ctx, log)
	defer stop()
	verdict, err := r.accept(report, a)
	if err != nil {
		log.Warn("job not acknowledged; going on", zap.Error(err))
	}
	if verdict == trace.Drop {
		log.Info("job dropped: GitLab does not want it any more")
		return
	}
	log.Info("job received", zap.String("name", j.Name), zap.String("project_path", j.ProjectPath), zap.Duration("queued", j.QueueTime))

	ctx, release := a.shelter(ctx)
	defer release()
	begin := Beginning{Job: j, Received: a.received, Inputs: job.UsesInputs(j, a.options)}
	_ = errors.As(planErr, &begin.Problem)
	a.observer = r.Observe(begin)
	r.finish(ctx, report, a, func() (*job.Outcome, error) { return a.run(ctx, planErr, verdict) })
}

// finish has run run the job while its log goes to GitLab, then reports how it has
// ended and removes what is left. report outlives ctx.
func (r *Runner) finish(ctx, report context.Context, a *attempt, run func() (*job.Outcome, error)) {
	var sending sync.WaitGroup
	sending.Go(func() {
		if err := a.trace.Run(report); err != nil && ctx.Err() == nil && report.Err() == nil {
			a.log.Warn("trace ended early", zap.Error(err))
		}
	})
	defer sending.Wait()

	outcome, err := run()
	if err == nil && outcome != nil {
		ended := time.Now()
		sending.Go(func() { a.leaveResult(ctx, report) })
		if err = a.report(report, *outcome); err == nil {
			a.timed(PhaseReport, ended)
		}
	}
	a.stop() // the trace has nothing left to send
	if errors.Is(err, executor.ErrDetached) || err != nil && a.detaching(ctx) {
		a.log.Info("job left to the next runnerd")
		a.observer.Leave()
		return
	}
	a.finish(outcome, time.Since(a.received))
	if r.RemoveLater {
		r.removing.Go(func() { a.remove(report) })
		return
	}
	a.remove(report)
}

// leaveResult waits for the end of the report, and ends it itself when another process
// can make it, a moment after this one is told to end: a GitLab that answers has it by
// then, and one that is away would hold up the process for nothing.
func (a *attempt) leaveResult(process, report context.Context) {
	select {
	case <-process.Done():
	case <-report.Done():
		return
	}
	if !a.detaching(process) {
		return
	}
	timer := time.NewTimer(lastAnswer)
	defer timer.Stop()
	select {
	case <-timer.C:
		a.stop()
	case <-report.Done():
	}
}

// acknowledge tells GitLab that the job runs. A GitLab that is busy is not
// waited for: the trace says it again with the first bytes of the log.
func acknowledge(ctx context.Context, t *trace.Trace) (trace.Verdict, error) {
	ctx, cancel := context.WithTimeout(ctx, acknowledgeTimeout)
	defer cancel()
	return t.Acknowledge(ctx)
}

// linger returns a context that outlives ctx by patience, so that what ctx has
// stopped can still be reported.
func linger(ctx context.Context, patience time.Duration) (context.Context, context.CancelFunc) {
	longer, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var mu sync.Mutex
	var timer *time.Timer
	unregister := context.AfterFunc(ctx, func() {
		mu.Lock()
		defer mu.Unlock()
		timer = time.AfterFunc(patience, cancel)
	})
	return longer, func() {
		unregister()
		mu.Lock()
		defer mu.Unlock()
		if timer != nil {
			timer.Stop()
		}
		cancel()
	}
}
