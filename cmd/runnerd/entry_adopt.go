package main

import (
	"context"
	"errors"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/runnerd/runnerd/pkg/executor"
	"github.com/runnerd/runnerd/pkg/poller"
)

const (
	// adoptLook is how often the jobs of dead replicas are looked for.
	adoptLook = 4 * time.Second
	// takeOverPause is the time between two tries to look for jobs of an earlier
	// process.
	takeOverPause = 2 * time.Second
	// adoptTimeout bounds one look.
	adoptTimeout = 30 * time.Second
)

// An adoption takes an entry's share of the jobs that processes have left behind.
type adoption struct {
	*entry
	jobs    context.Context
	running sync.WaitGroup
	blind   bool // there are no records to be had
}

// takeOver goes on with the jobs that an earlier process has left behind, and
// removes what else is left of it. Only then may new jobs come: those that are
// adopted have slots first. It does not give up while the cluster is away, but when
// the process is to drain; it has looked once more then: to it they are running jobs.
func (a *adoption) takeOver(polling context.Context) {
	for {
		err := a.look(true)
		if err == nil {
			break
		}
		if polling.Err() != nil {
			a.log.Error("jobs of an earlier process not looked for", zap.Error(err))
			return
		}
		a.log.Warn("jobs of an earlier process not looked for; trying again", zap.Error(err))
		sleep(polling, takeOverPause)
	}
	if a.pods != nil {
		a.sweep(a.jobs)
	}
}

// watch adopts the jobs of other replicas that die, until polling ends.
func (a *adoption) watch(polling context.Context) {
	if a.pods == nil || a.blind {
		return
	}
	for sleep(polling, adoptLook) {
		if err := a.look(false); err != nil && polling.Err() == nil {
			a.log.Warn("jobs of dead replicas not looked for; trying again", zap.Error(err))
		}
	}
}

// look adopts what there is, with earlier also what an earlier process of this
// manager has left behind.
func (a *adoption) look(earlier bool) error {
	ctx, cancel := context.WithTimeout(a.jobs, adoptTimeout)
	defer cancel()
	left, err := a.runner.LeftBehind(ctx, earlier)
	for _, l := range left {
		release := a.poller.Adopt(l.ProjectID, poller.Slot{ConcurrentID: l.ConcurrentID, ConcurrentProjectID: l.ConcurrentProjectID})
		a.running.Go(func() {
			defer release()
			a.runner.Adopt(a.jobs, l)
		})
	}
	if errors.Is(err, executor.ErrUnrecorded) {
		a.blind = true
		a.log.Warn("jobs cannot be adopted, and are interrupted when runnerd stops", zap.Error(err))
		return nil
	}
	return err
}

// sleep waits for d, and reports whether ctx goes on.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// sweep removes what an earlier process has left behind. It takes the pods of
// another entry with the same token for such: one that a reload has replaced,
// and whose jobs still run.
func (e *entry) sweep(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	pods, err := e.pods.Sweep(ctx)
	switch {
	case err != nil:
		e.log.Warn("leftover pods of an earlier process not removed", zap.Error(err))
	case pods > 0:
		e.log.Info("removed leftover pods of an earlier process", zap.Int("pods", pods))
	}
}
