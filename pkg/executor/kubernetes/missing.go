package kubernetes

import (
	"context"
	"time"

	"github.com/runnerd/runnerd/pkg/job"
)

// statusPatience is how long the kubelet may take to say that a container was
// started, or has ended.
const statusPatience = 10 * time.Second

// missingService returns why the result of a job does not count: one of its
// services could not be started. The kubelet goes on to the build container
// then, and a short script may be over before its status says so.
func (a *attempt) missingService(ctx context.Context, o job.Outcome) error {
	if len(a.plan.Services) == 0 || o.State == job.Canceled || a.canceled {
		return nil
	}
	var trouble error
	a.view.await(ctx, statusPatience, func(state podState) bool {
		if state.pod == nil || state.gone || state.pod.DeletionTimestamp != nil {
			return true
		}
		trouble = a.serviceTrouble()
		return trouble != nil || a.servicesKnown(state)
	})
	return trouble
}

// servicesKnown reports whether the pod's status says of each service that it
// was started.
func (a *attempt) servicesKnown(state podState) bool {
	for _, name := range serviceNames(a.plan) {
		c := state.status(name)
		if c == nil || c.State.Running == nil && c.State.Terminated == nil && c.LastTerminationState.Terminated == nil {
			return false
		}
	}
	return true
}

// serviceTrouble returns what has kept a service from ever starting; nil when
// nothing has. One that ran and ended is the script's affair.
func (a *attempt) serviceTrouble() error {
	state, _ := a.view.get()
	for _, name := range serviceNames(a.plan) {
		c := state.status(name)
		if c == nil || c.LastTerminationState.Terminated != nil || c.RestartCount > 0 {
			continue
		}
		if t := containerTrouble(*c); t != nil {
			return a.e.failure(a.plan, t)
		}
	}
	return nil
}
