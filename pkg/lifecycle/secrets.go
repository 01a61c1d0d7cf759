package lifecycle

import (
	"context"
	"sync"
	"time"

	"github.com/runnerd/runnerd/pkg/job"
)

// secretsPhase is the section in which secrets are fetched.
const secretsPhase = "resolve_secrets"

// resolveSecrets fetches the job's secrets and puts them into the plan. It
// comes after the verdict: a denied job makes no connection to a host of its
// choice. What has been judged stays as it was.
func (a *attempt) resolveSecrets(ctx context.Context, lines *ownLines, signals <-chan job.Signal) error {
	if len(a.plan.Secrets) == 0 {
		return nil
	}
	a.observer.Stage(secretsPhase)
	defer a.timed(PhaseSecrets, time.Now())
	lines.log.Section(secretsPhase, "Resolving secrets")
	vars, err := a.fetchSecrets(ctx, lines, signals)
	lines.log.EndSection(secretsPhase)
	if err != nil {
		return err
	}
	plan, err := job.WithSecrets(a.plan, a.job, a.options, vars)
	if err != nil {
		return err
	}
	a.plan = plan
	_ = lines.log.EndOutput() // the error is the trace's, which knows it
	lines.restyle(a.logOptions())
	return nil
}

// fetchSecrets ends early when the job is canceled: attempts may take long.
func (a *attempt) fetchSecrets(ctx context.Context, lines *ownLines, signals <-chan job.Signal) ([]job.Variable, error) {
	fetching, stop := context.WithCancel(ctx)
	canceled := false
	var watching sync.WaitGroup
	watching.Go(func() {
		select {
		case <-signals:
			canceled = true
			stop()
		case <-fetching.Done():
		}
	})
	vars, err := a.runner.Secrets.Resolve(fetching, a.plan, lines)
	stop()
	watching.Wait()
	switch {
	case canceled:
		return nil, job.Failf(job.JobCanceled, "canceled before it started")
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	}
	return vars, err
}
