package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
	corev1 "k8s.io/api/core/v1"

	"github.com/runnerd/runnerd/pkg/executor"
	"github.com/runnerd/runnerd/pkg/executor/relay"
	"github.com/runnerd/runnerd/pkg/job"
)

// An attempt is one pod of a job while it runs.
type attempt struct {
	e     *Executor
	plan  *job.Plan
	pod   string
	out   *output
	view  *podView
	relay *relay.Relay
	log   *zap.Logger

	follower   *follower
	adopted    *executor.Adoption          // another process has begun the job; nil: none has
	placed     func(context.Context) error // nil: nobody wants to know, or somebody does already
	signals    <-chan job.Signal
	cancelSent chan struct{}   // closed when the pod's annotation says cancel
	canceling  <-chan struct{} // closed when the helper has seen it
	background sync.WaitGroup  // goroutines that end with the attempt's context
	begunSteps *atomic.Bool    // the helper has said that a script begins
	clock      *startClock

	// What the supervisor remembers between two looks at the pod.
	begun       time.Time
	noted       string               // what the job was last told that it waits for
	noteAt      time.Time            // when a wait is worth a note
	troubles    map[string]time.Time // when a trouble that can heal was first seen, by container
	afterBuild  quiet                // since the build container has ended
	afterHelper quiet                // since the helper has
	repeatSince time.Time            // since when a log that is repeated brings nothing
	repeatHeard int64                // the next frame then
	canceled    bool                 // somebody asked for it
	cancelAt    time.Time            // since when the helper could have answered
	answered    bool                 // the helper has seen the cancel
	gaveUp      bool                 // it has not: the pod was deleted for the cancel's sake
	deleteUntil time.Time            // when a pod that is being deleted must be over
	readToEnd   bool                 // the helper is over, and all of its log was read
	stopped     bool                 // the helper said that the cluster wants the pod gone
	unbegun     bool                 // and that no script had begun
}

func newAttempt(e *Executor, task executor.Task, out *output, view *podView) *attempt {
	canceling := make(chan struct{})
	var once sync.Once
	begunSteps, clock := &atomic.Bool{}, &startClock{took: task.Took}
	onEvent := func(event job.Event) {
		if event.Phase != nil && strings.HasPrefix(event.Phase.Name, "step_") {
			begunSteps.Store(true)
			clock.begun(event.Time)
		}
		if event.Canceling {
			once.Do(func() { close(canceling) })
		}
		if event.Ending {
			out.hold() // it may end otherwise; see missingService and lost
		}
		if task.OnEvent != nil {
			task.OnEvent(event)
		}
	}
	log := e.log.With(zap.Int64("job", task.Plan.JobID), zap.String("pod", view.name))
	frames := relay.New(out, onEvent, log)
	var lost func(bytes int64)
	if task.Lost != nil && task.Adopted == nil { // GitLab may have the bytes from the process before
		lost = func(bytes int64) {
			begunSteps.Store(true) // perhaps: the news may be among what is lost
			task.Lost(bytes)
		}
	}
	return &attempt{
		e: e, plan: task.Plan, pod: view.name, out: out, view: view, relay: frames, log: log,
		follower: &follower{
			view: view, relay: frames, log: log,
			open: func(ctx context.Context, options *corev1.PodLogOptions) (io.ReadCloser, error) {
				return e.client.Logs.OpenLog(ctx, view.namespace, view.name, options)
			},
			resend: e.resender(task.Plan.JobID, view), lost: lost,
		},
		adopted: task.Adopted, placed: task.Placed, signals: task.Signals, canceling: canceling, cancelSent: make(chan struct{}), begunSteps: begunSteps, clock: clock,
		begun: time.Now(), troubles: map[string]time.Time{},
	}
}

// errCanceled says that a job was canceled before its pod was there.
var errCanceled = errors.New("canceled before its pod was there")

// begin sees to it that the attempt has a pod that policy lets through.
func (a *attempt) begin(ctx context.Context, task executor.Task, pod *corev1.Pod) error {
	if task.Adopted != nil && task.Adopted.Started == a.pod {
		return a.find(ctx)
	}
	if err := admit(task, pod); err != nil {
		return err
	}
	a.clock.next(executor.Creating)
	created, err := a.create(ctx, pod, task.Recorded)
	if err != nil {
		return err
	}
	a.clock.next(executor.Scheduling)
	if err := a.admitAgain(ctx, task, pod, created); err != nil {
		return err
	}
	a.background.Go(func() { a.e.started(ctx, a.plan, created) })
	return nil
}

// create creates Secrets and pod and returns the pod as the cluster has it;
// errCanceled when the job was canceled before it was there. record is called
// meanwhile.
func (a *attempt) create(ctx context.Context, pod *corev1.Pod, record func(context.Context) error) (*corev1.Pod, error) {
	inner, cancel := context.WithCancel(ctx)
	defer cancel()
	type result struct {
		pod *corev1.Pod
		err error
	}
	done := make(chan result, 1)
	a.background.Go(func() {
		if err := a.e.createSecrets(inner, a.plan, a.slow("create Secret"), record); err != nil {
			done <- result{err: err}
			return
		}
		created, err := a.e.createPod(inner, pod, a.slow("create pod"))
		if err == nil {
			a.e.made(a.plan, created)
		}
		done <- result{created, err}
	})
	for {
		select {
		case r := <-done:
			switch {
			case ctx.Err() != nil:
				return nil, context.Cause(ctx)
			case r.err != nil:
				return nil, r.err
			}
			return r.pod, nil
		case signal := <-a.signals:
			if signal == job.CancelGracefully {
				cancel()
				a.log.Debug("creation cut short by a cancel", zap.Error((<-done).err))
				return nil, errCanceled
			}
		}
	}
}

// slow returns a note for requests that have to be repeated. The job's log says once
// what it waits for, and again when that is something else.
func (a *attempt) slow(what string) func(error) {
	var mu sync.Mutex
	noted, cluster := "", false
	return func(err error) {
		a.log.Warn(what+": trying again", zap.Error(err))
		mu.Lock()
		defer mu.Unlock()
		switch quota := quotaWait(err); {
		case quota != "":
			a.e.room.refuse(a.plan.JobID, tidy(err.Error()))
			if quota != noted {
				a.out.info(fmt.Sprintf("Waiting for room in the quota of namespace %s (%s): %s", a.view.namespace, what, quota))
				noted = quota
			}
		case !cluster:
			a.out.warn(fmt.Sprintf("Waiting for the cluster (%s): %s", what, tidy(err.Error())))
			cluster = true
		}
	}
}
