package kubernetes

import (
	"context"
	"errors"
	"fmt"

	"github.com/runnerd/runnerd/pkg/executor"
	"github.com/runnerd/runnerd/pkg/job"
)

// Run runs task as a pod; see [executor.Executor]. While a Write of task.Log is
// going on it waits for it, even when ctx has ended: the log has to end it.
func (e *Executor) Run(ctx context.Context, task executor.Task) (job.Outcome, error) {
	plan := task.Plan
	if task.Adopted == nil { // otherwise it is claimed, with pods of its own
		e.claim(plan.JobID, 0)
	}
	out := &output{log: task.Log, notes: task.Notes}
	wished, err := e.wishes(plan)
	if err != nil {
		return job.Outcome{}, err
	}
	policies, err := e.policies(plan)
	if err != nil {
		return job.Outcome{}, err
	}
	e.room.begin(plan.JobID, e.roomFor(plan, wished))
	defer e.room.over(plan.JobID)
	next := rerun{policies: policies}
	if task.Adopted == nil {
		e.introduce(plan, wished, out)
	} else if err := e.catchUp(ctx, plan, &next, task.Adopted); err != nil {
		return job.Outcome{}, err
	}
	for n := next.pods; ; n++ {
		e.claim(plan.JobID, n+1)
		outcome, err := e.attempt(ctx, task, out, wished, policies, n)
		if err == nil {
			return outcome, nil
		}
		why, end := next.after(err)
		if end != nil {
			return job.Outcome{}, end
		}
		out.again(why.line)
		if err := e.giveUp(ctx, task, n, why); err != nil {
			return job.Outcome{}, err
		}
		task.Adopted, task.Recorded = nil, nil
	}
}

// introduce tells the job's author what the job runs in.
func (e *Executor) introduce(plan *job.Plan, wished *wishes, out *output) {
	out.info(fmt.Sprintf("Using Kubernetes namespace: %s", e.namespace(plan)))
	out.info(fmt.Sprintf("Using Kubernetes executor with image %s ...", describe(plan.Image)))
	for _, line := range wished.notes {
		out.info(line)
	}
	if note := entrypointNote(plan); note != "" {
		out.info(note)
	}
	for _, line := range plan.Warnings {
		out.warn(line)
	}
	for _, line := range e.aliasNotes(plan) {
		out.info(line)
	}
}

// A pullError says that a container's image could not be had; another pull
// policy may.
type pullError struct {
	container string
	failure   *job.Failure
}

func (e *pullError) Error() string { return e.failure.Message }

// attempt runs the job in its n-th pod.
func (e *Executor) attempt(ctx context.Context, task executor.Task, out *output, wished *wishes, policies *policyList, n int) (outcome job.Outcome, err error) {
	pod, err := e.pod(task.Plan, wished, policies, n)
	if err != nil {
		return job.Outcome{}, err
	}
	pods := e.pods[pod.Namespace]
	view := pods.view(pod.Name)
	defer pods.drop(view)

	a := newAttempt(e, task, out, view)
	ctx, cancel := context.WithCancel(ctx)
	// The order matters: end what runs, wait for it, then end the log.
	defer func() { err = out.settle(err) }()
	defer a.background.Wait()
	defer cancel()
	switch err := a.begin(ctx, task, pod); {
	case errors.Is(err, errCanceled):
		return canceledOutcome(), nil
	case err != nil:
		return job.Outcome{}, err
	}
	followed := make(chan error, 1)
	a.background.Go(func() { followed <- a.follower.run(ctx) })
	services := a.watchServices(ctx, task.Services)
	outcome, err = a.supervise(ctx, followed)
	services.end(ctx, outcome.State == job.Failed && !a.stopped)
	if lost := a.lost(outcome, err); lost != nil {
		return job.Outcome{}, lost
	}
	if err == nil && a.stopped { // by whom, only the daemon knows
		return job.Outcome{}, &job.Failure{Reason: outcome.Reason, Message: outcome.Message}
	}
	return outcome, err
}

func canceledOutcome() job.Outcome {
	return job.Outcome{State: job.Canceled, Reason: job.JobCanceled, Message: "job was canceled"}
}
