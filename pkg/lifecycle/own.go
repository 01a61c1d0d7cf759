package lifecycle

import (
	"context"
	"errors"
	"time"

	"go.uber.org/zap"

	"github.com/runnerd/runnerd/pkg/executor"
	"github.com/runnerd/runnerd/pkg/job"
	"github.com/runnerd/runnerd/pkg/trace"
)

// open makes what a needs to work. The job ends with the first context that it
// returns; the second outlives that, so that the job's end can still be reported.
func (a *attempt) open(process context.Context, log *zap.Logger) (ctx, report context.Context, stop func()) {
	a.log, a.received = log, time.Now()
	ctx, cancel := context.WithCancelCause(process)
	report, a.stop = linger(ctx, a.runner.ReportTimeout)
	a.lose = func() {
		cancel(executor.ErrDetached)
		a.stop()
	}
	o := a.runner.Trace
	o.API = ownJob{o.API, a}
	o.Job, o.Log = job.Credentials{ID: a.job.ID, Token: a.job.Token}, log
	o.Debug = a.plan != nil && a.plan.Debug
	o.Resume = a.past != nil
	a.trace = trace.New(o)
	a.lines, a.save = newOwnLines(a.trace, a.logOptions()), a.saver(ctx)
	return ctx, report, func() {
		a.stop()
		cancel(nil)
	}
}

// ownJob is GitLab for a job that another process can take over. While others may
// take this process for dead nothing goes there but that the job lives, which is as
// true when another one says it, too.
type ownJob struct {
	trace.API
	attempt *attempt
}

func (o ownJob) UpdateJob(ctx context.Context, who job.Credentials, u job.Update) (job.Answer, error) {
	if u.State != job.Success && u.State != job.Failed {
		return o.API.UpdateJob(ctx, who, u)
	}
	ctx, release, err := o.attempt.own(ctx)
	if err != nil {
		return job.Answer{}, err
	}
	defer release()
	return o.API.UpdateJob(ctx, who, u)
}

func (o ownJob) PatchTrace(ctx context.Context, who job.Credentials, offset int64, chunk []byte, debug bool) (job.Answer, error) {
	ctx, release, err := o.attempt.own(ctx)
	if err != nil {
		return job.Answer{}, err
	}
	defer release()
	return o.API.PatchTrace(ctx, who, offset, chunk, debug)
}

// own returns when the job is certainly this process's own, with a context for as
// long as it is. One without a record nobody else can have.
func (a *attempt) own(ctx context.Context) (context.Context, context.CancelFunc, error) {
	if a.runner.recorder == nil || a.past == nil && !a.lines.journal.recorded() {
		return ctx, func() {}, nil
	}
	held, release, err := a.runner.recorder.Own(ctx, a.plan)
	if errors.Is(err, executor.ErrDetached) {
		a.lose()
	}
	return held, release, err
}
