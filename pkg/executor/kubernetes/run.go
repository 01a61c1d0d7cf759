package kubernetes

import (
	"context"
	"errors"
	"fmt"

	"go.uber.org/zap"

	"github.com/runnerd/runnerd/pkg/executor"
	"github.com/runnerd/runnerd/pkg/job"
)

// Run runs task as a pod; see [executor.Executor]. While a Write of task.Log is
// going on it waits for it, even when ctx has ended: the log has to end it.
func (e *Executor) Run(ctx context.Context, task executor.Task) (job.Outcome, error) {
	plan := task.Plan
	e.claim(plan.JobID)
	out := &output{log: task.Log, notes: task.Notes}
	policies, err := e.policies(plan)
	if err != nil {
		return job.Outcome{}, err
	}
	out.info(fmt.Sprintf("Using Kubernetes namespace: %s", e.namespace(plan)))
	out.info(fmt.Sprintf("Using Kubernetes executor with image %s ...", describe(plan.Image)))
	if note := entrypointNote(plan); note != "" {
		out.info(note)
	}
	for _, line := range plan.Warnings {
		out.warn(line)
	}
	for _, line := range e.aliasNotes(plan) {
		out.info(line)
	}
	for n := 0; ; n++ {
		outcome, err := e.attempt(ctx, task, out, policies, n)
		var pull *pullError
		if !errors.As(err, &pull) {
			return outcome, err
		}
		if !policies.advance(pull.container) {
			return job.Outcome{}, pull.failure
		}
		next := policies.policy(pull.container)
		e.log.Info("image pull failed; trying the next pull policy",
			zap.Int64("job", plan.JobID), zap.String("container", pull.container), zap.String("policy", string(next)), zap.Error(err))
		if err := e.deletePod(ctx, e.namespace(plan), podName(e.id, plan, n), seconds(e.cfg.CleanupGracePeriod)); err != nil {
			return job.Outcome{}, err
		}
		out.again(fmt.Sprintf("%s; trying again with pull policy %s", pull.failure.Message, next))
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
func (e *Executor) attempt(ctx context.Context, task executor.Task, out *output, policies *policyList, n int) (outcome job.Outcome, err error) {
	pod, err := e.pod(task.Plan, policies, n)
	if err != nil {
		return job.Outcome{}, err
	}
	if err := admit(task, pod); err != nil {
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
	created, err := a.create(ctx, pod)
	if err != nil || created == nil {
		return canceledOutcome(), err
	}
	if err := a.admitAgain(ctx, task, pod, created); err != nil {
		return job.Outcome{}, err
	}
	followed := make(chan error, 1)
	a.background.Go(func() { followed <- a.follower.run(ctx) })
	defer a.watchServices(ctx, task.Services).end()
	return a.supervise(ctx, followed)
}

func canceledOutcome() job.Outcome {
	return job.Outcome{State: job.Canceled, Reason: job.JobCanceled, Message: "job was canceled"}
}
