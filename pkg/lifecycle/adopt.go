package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/runnerd/runnerd/pkg/executor"
	"github.com/runnerd/runnerd/pkg/job"
	"github.com/runnerd/runnerd/pkg/trace"
)

// A Left is a job that another process has begun and not ended.
type Left struct {
	ProjectID                         int64
	ConcurrentID, ConcurrentProjectID int

	past    *past
	started string
}

// LeftBehind returns the jobs that a dead process has left behind and this one can
// go on with, with earlier also those of an earlier process of this manager. They
// are this process's from then on, those too that come with an error. Those that it
// cannot go on with it leaves alone, and says so.
func (r *Runner) LeftBehind(ctx context.Context, earlier bool) ([]Left, error) {
	if r.recorder == nil {
		return nil, nil
	}
	records, err := r.recorder.Records(ctx, earlier)
	var jobs []Left
	for _, record := range records {
		p, err := pastOf(record)
		if err != nil {
			r.Log.Error("job of another process is left alone: its record cannot be used", zap.Int64("job", record.JobID), zap.Error(err))
			continue
		}
		jobs = append(jobs, Left{
			ProjectID: p.Plan.ProjectID, ConcurrentID: p.Plan.ConcurrentID, ConcurrentProjectID: p.Plan.ConcurrentProjectID,
			past: p, started: record.Started,
		})
	}
	return jobs, err
}

// Adopt takes a job that another process has begun to its end, as Handle does.
//
// The log is made again from its first byte: the daemon's own lines from the
// record, the rest from the pod. GitLab gets what it does not have.
func (r *Runner) Adopt(ctx context.Context, left Left) {
	p := left.past
	log := r.Log.With(zap.Int64("job", p.Job.ID), zap.Int64("project", p.Job.ProjectID))
	log.Info("job adopted", zap.String("name", p.Job.Name), zap.Time("received", p.Received), zap.Bool("started", left.started != ""), zap.Bool("ended", p.End != nil))
	a := &attempt{runner: r, job: p.Job, plan: p.Plan, past: p, ran: true, entries: p.next}
	ctx, report, stop := a.open(ctx, log)
	defer stop()
	a.received = p.Received
	adopted := time.Now()
	a.trace.Ends(func() time.Time {
		if p.End != nil {
			return adopted // it ended earlier, but when is not recorded
		}
		return r.recorder.Ended(p.Plan, left.started)
	})
	verdict, err := a.trace.Resume(ctx, p.pieces[0].Text)
	switch {
	case ctx.Err() != nil:
		log.Info("job left to the next runnerd")
		return
	case errors.Is(err, trace.ErrUndelivered):
		log.Error("adopted job is given up, and what is left of it removed", zap.Error(err))
		a.remove(ctx)
		return
	case err != nil:
		log.Error("adopted job is left alone: GitLab does not say how much of its log it has", zap.Error(err))
		return
	case verdict == trace.Drop:
		log.Info("job is over at GitLab; removing what is left of it")
		a.kept = p.End != nil && p.End.Kept
		a.remove(ctx)
		return
	}
	a.observer = r.Observe(Beginning{Job: p.Job, Received: p.Received, Adopted: true})
	defer r.places.seize(p.Job.ProjectID)()
	r.finish(ctx, report, a, func() (*job.Outcome, error) { return a.goOn(ctx, left.started, verdict) })
}

// goOn is run for an adopted job.
func (a *attempt) goOn(ctx context.Context, started string, verdict trace.Verdict) (*job.Outcome, error) {
	a.lines.marks, a.lines.warned = a.past.Marks, a.past.Told
	adoption := &executor.Adoption{Started: started, Earlier: a.past.earlier, Repeating: a.lines.journal.behind}
	if a.past.End != nil {
		return a.repeat(ctx, adoption)
	}
	if err := a.lines.repeatFrom(a.past.pieces, a.trace.Sent(), a.save); err != nil {
		return a.end(ctx, job.Outcome{}, a.interrupted(ctx, err))
	}
	a.resumeCaches(ctx)
	outcome, err := a.conduct(ctx, func(ctx context.Context, signals chan job.Signal) (job.Outcome, error) {
		if verdict == trace.Cancel {
			signals <- job.CancelGracefully
		}
		task := a.task(ctx, signals)
		task.Adopted = adoption
		return a.runner.Executor.Run(ctx, task)
	})
	return a.end(ctx, outcome, err)
}

// errRepeated says that an ended job's log has been repeated.
var errRepeated = errors.New("the log is complete")

// repeat brings the log of a job to its end that has ended already, with what the
// record says.
func (a *attempt) repeat(ctx context.Context, adoption *executor.Adoption) (*job.Outcome, error) {
	_, err := a.conduct(ctx, func(ctx context.Context, signals chan job.Signal) (job.Outcome, error) {
		ctx, cancel := context.WithCancelCause(ctx)
		defer cancel(nil)
		a.lines.journal.endAt(a.past.endAt, func() { cancel(errRepeated) })
		if err := a.lines.repeatFrom(a.past.pieces, a.trace.Sent(), a.save); err != nil {
			return job.Outcome{}, err
		}
		if a.past.endAt == 0 || adoption.Started == "" {
			return job.Outcome{}, errRepeated
		}
		task := a.task(ctx, signals)
		task.Adopted, task.Services = adoption, nil
		return a.runner.Executor.Run(ctx, task)
	})
	switch {
	case errors.Is(err, executor.ErrDetached):
		return nil, err
	case errors.Is(err, executor.ErrAborted), errors.Is(err, trace.ErrOver):
		return nil, nil
	case err != nil && !errors.Is(err, errRepeated):
		a.log.Error("log of an ended job cannot be read again", zap.Error(err))
	}
	a.complete()
	a.kept = a.past.End.Kept
	outcome := a.past.End.Outcome
	return &outcome, nil
}

// complete ends the repetition of the log, and says what of it is lost.
func (a *attempt) complete() (lost int64) {
	lost, err := a.lines.journal.complete(func() int64 {
		missing := a.trace.SkipLost()
		if missing > 0 {
			a.lines.unseen()
		}
		return missing
	})
	if lost > 0 || err != nil {
		a.log.Error("a part of the job's log is lost", zap.Int64("bytes", lost), zap.Error(err))
		a.observer.Lost(lost)
	}
	return lost
}

// record makes the job's record, before anything is made that outlives this
// process.
func (a *attempt) record(ctx context.Context) error {
	err := a.lines.journal.record(func(log piece) error {
		head := recordHead{Received: a.received, Job: a.job, Plan: a.plan, Log: log}
		data, err := head.encode()
		if err != nil {
			return err
		}
		return a.runner.recorder.Begin(ctx, a.plan, data)
	}, a.save)
	if errors.Is(err, executor.ErrUnrecorded) {
		a.log.Warn("job goes on without a record", zap.Error(err))
		return nil
	}
	if err != nil {
		return fmt.Errorf("begin the job's record: %w", err)
	}
	return nil
}

// saver returns how the journal's pieces come into the job's record, until ctx
// ends. When the cluster refuses one for good, the job goes on without a record.
func (a *attempt) saver(ctx context.Context) func(piece) error {
	return func(p piece) error {
		data, err := pack(p)
		if err == nil {
			err = a.runner.recorder.Extend(ctx, a.plan, entryName(a.entries), data)
		}
		switch {
		case err == nil:
			a.entries++
			return nil
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case errors.Is(err, executor.ErrDetached):
			a.lose()
			return executor.ErrDetached
		}
		a.log.Error("job's record cannot be written; no other process can go on with the job", zap.Error(err))
		return executor.ErrUnrecorded
	}
}
