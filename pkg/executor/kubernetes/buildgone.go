package kubernetes

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/runnerd/runnerd/pkg/job"
)

// buildGone returns how the build container ended when the helper has only seen that
// it did, under a script; nil when the cluster does not say in time. The helper sees
// it at once, the kubelet within a second or two.
func (a *attempt) buildGone(ctx context.Context, result *job.Result) error {
	if !result.BuildGone || a.canceled {
		return nil
	}
	timer := time.NewTimer(statusPatience)
	defer timer.Stop()
	for {
		state, changed := a.view.get()
		if state.takenAway() {
			return nil // the outcome says by whom
		}
		if failure := state.howBuildEnded(); failure != nil {
			return failure
		}
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
			return nil
		case <-changed:
		}
	}
}

// howBuildEnded returns the failure that an end of the build container is, nil when
// the status knows of none.
func (s podState) howBuildEnded() *job.Failure {
	switch c := s.status(containerBuild); {
	case c == nil:
		return nil
	case c.RestartCount > 0: // by a kubelet that has lost track of the first
		first := ""
		if t := c.LastTerminationState.Terminated; t != nil {
			first = fmt.Sprintf("; the first ended: %s", ending(t))
		}
		return job.Failf(job.RunnerSystemFailure,
			"the node has started the build container again while the script ran, and no script is run twice (node %s%s)", s.pod.Spec.NodeName, first)
	case c.State.Terminated != nil:
		return s.buildFailure(c.State.Terminated)
	}
	return nil
}

// buildFailure is the failure of a job whose build container has ended under it.
func (s podState) buildFailure(t *corev1.ContainerStateTerminated) *job.Failure {
	if t.Reason == oomKilled {
		return &job.Failure{
			Reason: job.ScriptFailure, ExitCode: int(t.ExitCode),
			Message: fmt.Sprintf("build container ran out of memory: it was killed%s (OOMKilled, exit code %d, node %s)",
				atLimit(s.pod, containerBuild), t.ExitCode, s.pod.Spec.NodeName),
		}
	}
	return job.Failf(job.RunnerSystemFailure, "build container ended under the running job on node %s: %s", s.pod.Spec.NodeName, ending(t))
}
