package kubernetes

import (
	"context"
	"fmt"

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
	var failure *job.Failure
	a.view.await(ctx, statusPatience, func(state podState) bool {
		if state.takenAway() {
			return true // the outcome says by whom
		}
		failure = state.howBuildEnded()
		return failure != nil
	})
	if failure == nil {
		return nil // and not an error that holds nothing
	}
	return failure
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
