package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/runnerd/runnerd/pkg/cache"
	"github.com/runnerd/runnerd/pkg/executor"
	"github.com/runnerd/runnerd/pkg/job"
	"github.com/runnerd/runnerd/pkg/judge"
	"github.com/runnerd/runnerd/pkg/trace"
)

// An attempt is the state of one job while Handle or Adopt goes on.
type attempt struct {
	runner   *Runner
	job      *job.Job
	plan     *job.Plan   // nil when the job cannot be compiled
	options  job.Options // what the plan is made with
	received time.Time   // when the job's time began
	past     *past       // what another process has done of it; nil: nothing
	trace    *trace.Trace
	lines    *ownLines
	observer Observer
	prepared bool // the helper has begun
	log      *zap.Logger
	verdict  *judge.Verdict // nil: not judged by this process
	caches   *cache.Session // nil: the job has none, or there is no store
	held     bool           // GitLab was asked to keep the job pending until it is placed
	begin    func()         // starts the job's time; set while it goes on
	returned string         // why GitLab has the job again; "" when it has not
	ran      bool           // the executor has been asked to run the plan
	kept     bool           // what it ran in stays for people to look into
	entries  int            // of the job's record, behind its beginning
	save     func(piece) error
	stop     func() // ends the trace
	lose     func() // ends the job in this process: another one has it
}

// run brings the job to its end and its log into the trace. It returns nil when
// nothing is to be reported, and executor.ErrDetached when another process will.
func (a *attempt) run(ctx context.Context, planErr error, verdict trace.Verdict) (*job.Outcome, error) {
	a.lines.header(a.runner, a.job)
	outcome, err := a.execute(ctx, planErr, verdict)
	return a.end(ctx, outcome, err)
}

// end ends the log of a job that has ended with outcome or err.
func (a *attempt) end(ctx context.Context, outcome job.Outcome, err error) (*job.Outcome, error) {
	if errors.Is(err, executor.ErrDetached) {
		return nil, err
	}
	if why, yes := a.givesBack(err); yes {
		a.returned = why
		a.log.Warn("job is given back to GitLab, which queues it again", zap.String("reason", why), zap.String("message", a.masked(err.Error())))
		return nil, nil
	}
	if a.past != nil {
		if lost := a.complete(); lost > 0 {
			a.lines.behind(fmt.Sprintf("%d bytes of the log before this line are lost", lost))
		}
	}
	if err != nil {
		end := outcomeOf(err, a.job.Timeout)
		if end == nil {
			_ = a.publishCaches(ctx) // nobody reads this log any more
			return nil, nil
		}
		outcome = *end
		a.lines.failed(outcome)
	}
	for _, warning := range a.publishCaches(ctx) {
		a.lines.behind(warning)
	}
	a.keep(ctx, outcome)
	if err := a.lines.close(outcome, a.kept); err != nil && a.detaching(ctx) {
		return nil, executor.ErrDetached
	}
	return &outcome, nil
}

func (a *attempt) logOptions() job.LogOptions {
	if a.plan != nil {
		return a.plan.Log
	}
	return job.LogOptionsOf(a.job, a.runner.Plan)
}

// masked keeps the job's secrets out of the daemon's log: a message may quote
// what a variable has put into an image's name.
func (a *attempt) masked(text string) string {
	for _, phrase := range a.logOptions().Masks {
		text = strings.ReplaceAll(text, phrase, "[MASKED]")
	}
	return text
}

// execute judges the job and runs it. Its error is for outcomeOf.
func (a *attempt) execute(ctx context.Context, planErr error, verdict trace.Verdict) (job.Outcome, error) {
	if planErr != nil {
		return job.Outcome{}, planErr
	}
	asked := time.Now()
	decided, err := a.runner.Judge.Judge(ctx, a.job, a.plan)
	a.timed(PhaseJudge, asked)
	if err != nil {
		return job.Outcome{}, a.interrupted(ctx, err)
	}
	if a.lines.judged(decided); decided.Denied() {
		return job.Outcome{}, job.Failf(job.RunnerSystemFailure, "%s", decided.Summary())
	}
	a.verdict = &decided
	if verdict == trace.Cancel {
		return job.Outcome{}, job.Failf(job.JobCanceled, "canceled before it started")
	}
	return a.conduct(ctx, func(ctx context.Context, signals chan job.Signal) (job.Outcome, error) {
		release, err := a.place(ctx, signals)
		if err != nil {
			return job.Outcome{}, err
		}
		defer release()
		if err := a.resolveSecrets(ctx, a.lines, signals); err != nil {
			return job.Outcome{}, err
		}
		a.lines.prepare(a.runner.Plan.Executor)
		a.openCaches(ctx)
		a.ran, a.plan.Helper.Held = true, a.held
		return a.runner.Executor.Run(ctx, a.task(ctx, signals))
	})
}

// admit says whether the pod may run what it would. A job of another process that
// had not come that far is judged anew.
func (a *attempt) admit(ctx context.Context, containers []executor.Container) error {
	if a.verdict == nil {
		decided, err := a.runner.Judge.Judge(ctx, a.job, a.plan)
		switch {
		case err != nil:
			return err
		case decided.Denied():
			a.lines.judged(decided)
			return job.Failf(job.RunnerSystemFailure, "%s", decided.Summary())
		}
		a.verdict = &decided
	}
	pod := *a.verdict
	pod.Notes = nil
	pod.Decision = a.runner.Judge.Admit(ctx, a.job, a.plan, *a.verdict, containers)
	if a.lines.judged(pod); pod.Denied() {
		return job.Failf(job.RunnerSystemFailure, "%s", pod.Summary())
	}
	return nil
}

func (a *attempt) task(ctx context.Context, signals <-chan job.Signal) executor.Task {
	task := executor.Task{
		Plan: a.plan, Log: a.lines.jobLog(), Notes: a.lines, Services: a.lines.services(a.plan), Signals: signals,
		Admit:   func(c []executor.Container) error { return a.admit(ctx, c) },
		OnEvent: a.event, Again: a.again, Lost: a.lost,
		Took: func(part string, from, to time.Time) { a.observer.Phase(Phase{Name: part, From: from, To: to}) },
	}
	if a.plan.Helper.Held {
		task.Placed = a.placed
	}
	if a.runner.recorder != nil && a.past == nil {
		task.Recorded = a.record
	}
	return task
}

// again takes from the executor that the job begins anew.
func (a *attempt) again(_ context.Context, what string) error {
	if what == executor.Lost {
		a.observer.Remade()
	}
	return a.lines.again(what)
}

// lost takes from the executor that a part of the log is missing.
func (a *attempt) lost(bytes int64) {
	a.log.Error("a part of the job's log is lost", zap.Int64("bytes", bytes))
	a.observer.Lost(bytes)
	a.lines.lost(bytes)
}

// event takes what the helper tells.
func (a *attempt) event(e job.Event) {
	if e.Cache != nil {
		a.cacheEvent(*e.Cache)
	}
	if e.Phase == nil {
		return
	}
	if a.stage(e); e.Phase.Done {
		return
	}
	for _, step := range a.plan.Helper.Steps {
		if step.Phase == e.Phase.Name {
			a.lines.journal.settled() // the build container runs
		}
	}
}

// report sends the rest of the log and the final state. An error says that the
// time was over before GitLab had them.
func (a *attempt) report(ctx context.Context, o job.Outcome) error {
	final := trace.Final{State: job.Success}
	if o.State != job.Success {
		reason := o.Reason
		if o.State == job.Canceled {
			reason = job.JobCanceled
		}
		final = trace.Final{State: job.Failed, Reason: reported(reason, a.job.Features.FailureReasons), ExitCode: o.ExitCode}
	}
	err := a.trace.Finish(ctx, final)
	if err != nil {
		a.log.Error("job result not delivered", zap.String("outcome", string(o.State)), zap.Error(err))
	}
	if ctx.Err() != nil {
		return err
	}
	return nil
}

// keep leaves a failed job's place for people to look into.
func (a *attempt) keep(ctx context.Context, o job.Outcome) {
	if !a.ran || o.State != job.Failed {
		return
	}
	if where := a.runner.Executor.Keep(ctx, executor.Task{Plan: a.plan}); where != "" {
		a.kept = true
		a.lines.told(where)
	}
}

// remove deletes what the executor made.
func (a *attempt) remove(ctx context.Context) {
	if !a.ran {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), removeTimeout)
	defer cancel()
	defer a.closeCaches(ctx)
	if err := a.runner.Executor.Remove(ctx, executor.Task{Plan: a.plan, Kept: a.kept}); err != nil {
		a.log.Error("job not cleaned up", zap.Error(err))
	}
}

func (a *attempt) finish(o *job.Outcome, took time.Duration) {
	if a.returned != "" {
		a.observer.GaveBack(a.returned)
		return
	}
	if o == nil {
		a.observer.Finish(job.JobCanceled)
		a.log.Info("job finished", zap.String("outcome", "aborted by GitLab"), zap.Duration("took", took))
		return
	}
	fields := []zap.Field{zap.String("outcome", string(o.State)), zap.Duration("took", took)}
	if o.State != job.Success {
		fields = append(fields, zap.String("reason", string(o.Reason)), zap.Int("exit_code", o.ExitCode), zap.String("message", a.masked(o.Message)))
	}
	a.observer.Finish(o.Reason)
	a.log.Info("job finished", fields...)
}
