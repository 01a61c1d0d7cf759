package lifecycle

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/runnerd/runnerd/pkg/cache"
	"github.com/runnerd/runnerd/pkg/executor"
	"github.com/runnerd/runnerd/pkg/job"
	"github.com/runnerd/runnerd/pkg/judge"
	"github.com/runnerd/runnerd/pkg/trace"
)

// An attempt is the state of one job while Handle goes on.
type attempt struct {
	runner   *Runner
	job      *job.Job
	plan     *job.Plan   // nil when the job cannot be compiled
	options  job.Options // what the plan is made with
	trace    *trace.Trace
	observer Observer
	log      *zap.Logger
	verdict  judge.Verdict
	caches   *cache.Session // nil: the job has none, or there is no store
	ran      bool           // the executor has been asked to run the plan
	kept     bool           // what it ran in stays for people to look into
}

// run brings the job to its end and its log into the trace. It returns nil when
// nothing is to be reported.
func (a *attempt) run(ctx context.Context, planErr error, verdict trace.Verdict) *job.Outcome {
	lines := newOwnLines(a.trace, a.logOptions())
	lines.header(a.runner, a.job)
	outcome, err := a.execute(ctx, lines, planErr, verdict)
	if err != nil {
		end := outcomeOf(err, a.job.Timeout)
		if end == nil {
			_ = a.publishCaches(ctx) // nobody reads this log any more
			return nil
		}
		outcome = *end
		lines.failed(outcome)
	}
	for _, warning := range a.publishCaches(ctx) {
		lines.behind(warning)
	}
	a.keep(ctx, outcome, lines)
	lines.close()
	return &outcome
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
func (a *attempt) execute(ctx context.Context, lines *ownLines, planErr error, verdict trace.Verdict) (job.Outcome, error) {
	if planErr != nil {
		return job.Outcome{}, planErr
	}
	decided, err := a.runner.Judge.Judge(ctx, a.job, a.plan)
	if err != nil {
		return job.Outcome{}, interrupted(ctx, err)
	}
	if lines.judged(decided); decided.Denied() {
		return job.Outcome{}, job.Failf(job.RunnerSystemFailure, "%s", decided.Summary())
	}
	a.verdict = decided
	if verdict == trace.Cancel {
		return job.Outcome{}, job.Failf(job.JobCanceled, "canceled before it started")
	}

	process := ctx
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	// The agent keeps the job's timeout; this is for the case that it cannot.
	ctx, stop := context.WithTimeoutCause(ctx, a.job.Timeout+deadlineSlack, errDeadline)
	defer stop()
	signals := make(chan job.Signal, 1)
	var forwarding sync.WaitGroup
	forwarding.Go(func() { forward(ctx, a.trace.Signals(), signals, cancel) })
	defer forwarding.Wait()
	defer cancel(nil)

	if err := a.resolveSecrets(ctx, lines, signals); err != nil {
		return job.Outcome{}, interrupted(process, err)
	}
	lines.prepare(a.runner.Plan.Executor)
	a.openCaches(ctx)
	a.ran = true
	outcome, err := a.runner.Executor.Run(ctx, a.task(ctx, lines, signals))
	return outcome, interrupted(process, err)
}

// deadlineSlack is how much later than the agent the daemon ends a job whose
// time is up: the agent's clock starts with the pod.
const deadlineSlack = 5 * time.Minute

// interrupted names the end of the process's own context. What else was
// canceled is no reason that a job's author could do anything with.
func interrupted(process context.Context, err error) error {
	if process.Err() != nil && errors.Is(err, context.Canceled) {
		return errInterrupted
	}
	return err
}

// admit says whether the pod may run what it would.
func (a *attempt) admit(ctx context.Context, lines *ownLines, containers []executor.Container) error {
	pod := a.verdict
	pod.Notes = nil
	pod.Decision = a.runner.Judge.Admit(ctx, a.job, a.plan, a.verdict, containers)
	if lines.judged(pod); pod.Denied() {
		return job.Failf(job.RunnerSystemFailure, "%s", pod.Summary())
	}
	return nil
}

func (a *attempt) task(ctx context.Context, lines *ownLines, signals <-chan job.Signal) executor.Task {
	return executor.Task{
		Plan: a.plan, Log: lines.jobLog(), Notes: lines, Services: lines.services(a.plan), Signals: signals,
		Admit:    func(c []executor.Container) error { return a.admit(ctx, lines, c) },
		OnRemade: a.observer.Remade,
		OnEvent: func(e job.Event) {
			if e.Cache != nil {
				a.cacheEvent(*e.Cache)
			}
			if e.Phase != nil && !e.Phase.Done {
				a.observer.Stage(e.Phase.Name)
			}
		},
	}
}

// forward passes a cancel on to the executor, and turns an abort into the end
// of the job's context. Signals come only as answers of GitLab, at most one of
// each kind.
func forward(ctx context.Context, from <-chan job.Signal, to chan<- job.Signal, cancel context.CancelCauseFunc) {
	for {
		select {
		case <-ctx.Done():
			return
		case signal := <-from:
			if signal == job.Abort {
				cancel(executor.ErrAborted)
				return
			}
			select {
			case to <- signal:
			case <-ctx.Done():
				return
			}
		}
	}
}

// report sends the rest of the log and the final state.
func (a *attempt) report(ctx context.Context, o job.Outcome) {
	final := trace.Final{State: job.Success}
	if o.State != job.Success {
		reason := o.Reason
		if o.State == job.Canceled {
			reason = job.JobCanceled
		}
		final = trace.Final{State: job.Failed, Reason: reported(reason, a.job.Features.FailureReasons), ExitCode: o.ExitCode}
	}
	if err := a.trace.Finish(ctx, final); err != nil {
		a.log.Error("job result not delivered", zap.String("outcome", string(o.State)), zap.Error(err))
	}
}

// keep leaves a failed job's place for people to look into.
func (a *attempt) keep(ctx context.Context, o job.Outcome, lines *ownLines) {
	if !a.ran || o.State != job.Failed {
		return
	}
	if where := a.runner.Executor.Keep(ctx, executor.Task{Plan: a.plan}); where != "" {
		a.kept = true
		lines.told(where)
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
