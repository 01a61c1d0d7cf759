package kubernetes

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/runnerd/runnerd/pkg/job"
)

// status returns the status of a container; nil when the kubelet has not told.
func (s podState) status(container string) *corev1.ContainerStatus {
	if s.pod == nil {
		return nil
	}
	for i := range s.pod.Status.ContainerStatuses {
		if c := &s.pod.Status.ContainerStatuses[i]; c.Name == container {
			return c
		}
	}
	return nil
}

func (s podState) terminated(container string) *corev1.ContainerStateTerminated {
	if c := s.status(container); c != nil {
		return c.State.Terminated
	}
	return nil
}

// memoryLimit is what a container may use, as the cluster has it.
func memoryLimit(pod *corev1.Pod, container string) (limit resource.Quantity, ok bool) {
	for _, c := range pod.Spec.Containers {
		if c.Name == container {
			limit, ok = c.Resources.Limits[corev1.ResourceMemory]
		}
	}
	return limit, ok
}

// oomKilled is the kubelet's reason for a container that was killed for its memory.
const oomKilled = "OOMKilled"

// atLimit says at which limit of its memory a container was killed.
func atLimit(pod *corev1.Pod, container string) string {
	if limit, ok := memoryLimit(pod, container); ok {
		return " at its limit of " + limit.String()
	}
	return " for the node's lack of memory (it has no limit of its own)"
}

// scheduled reports whether the pod has, or had, a node.
func (s podState) scheduled() bool { return s.pod != nil && s.pod.Spec.NodeName != "" }

// started reports whether the job's two containers have been started.
func (s podState) started() bool {
	for _, name := range []string{containerHelper, containerBuild} {
		c := s.status(name)
		if c == nil || c.State.Running == nil && c.State.Terminated == nil {
			return false
		}
	}
	return true
}

// over reports whether the helper writes no more.
func (s podState) over() bool {
	if s.pod == nil {
		return false
	}
	phase := s.pod.Status.Phase
	return s.gone || phase == corev1.PodFailed || phase == corev1.PodSucceeded || s.terminated(containerHelper) != nil
}

// takenAway reports whether somebody or something ends the pod with all its
// containers: that they end then says nothing about them.
func (s podState) takenAway() bool {
	return s.gone || s.pod != nil && (s.pod.DeletionTimestamp != nil || s.pod.Status.Reason != "" || s.disruption() != "")
}

// waitsFor says what an unstarted pod waits for; "" when it is not known.
func (s podState) waitsFor() string {
	if s.pod == nil {
		return "the cluster to show the pod"
	}
	if !s.scheduled() {
		for _, c := range s.pod.Status.Conditions {
			if c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse {
				return "a node: " + tidy(c.Message)
			}
		}
		return "a node"
	}
	if t := findTrouble(s.pod); t != nil {
		return fmt.Sprintf("container %s (image %q): %s: %s", t.container, t.image, t.state, tidy(t.message))
	}
	for _, c := range s.pod.Spec.Containers {
		if st := s.status(c.Name); st == nil || st.State.Running == nil && st.State.Terminated == nil {
			return fmt.Sprintf("container %s to start on node %s (its image %q may have to be pulled)", c.Name, s.pod.Spec.NodeName, c.Image)
		}
	}
	return ""
}

// end says why a pod is over without a result.
func (s podState) end() *job.Failure {
	pod := s.pod
	if pod == nil {
		return job.Failf(job.RunnerSystemFailure, "pod is gone before the cluster showed it; somebody deleted it")
	}
	where := "on node " + pod.Spec.NodeName
	if pod.Spec.NodeName == "" {
		where = "before it had a node"
	}
	if pod.Status.Reason == "DeadlineExceeded" {
		return job.Failf(job.JobExecutionTimeout, "pod %s was ended %s: it ran longer than activeDeadlineSeconds allows", pod.Name, where)
	}
	if why := s.disruption(); why != "" {
		return job.Failf(job.RunnerSystemFailure, "pod %s was taken away by the cluster %s: %s", pod.Name, where, why)
	}
	if t := s.terminated(containerHelper); t != nil && pod.DeletionTimestamp == nil {
		if t.Reason == oomKilled {
			return job.Failf(job.RunnerSystemFailure, "helper container ran out of memory: it was killed%s %s: %s",
				atLimit(pod, containerHelper), where, ending(t))
		}
		return job.Failf(job.RunnerSystemFailure, "helper container ended without a result %s: %s", where, ending(t))
	}
	if s.gone || pod.DeletionTimestamp != nil {
		return job.Failf(job.RunnerSystemFailure, "pod %s was deleted from outside %s while the job ran", pod.Name, where)
	}
	return job.Failf(job.RunnerSystemFailure, "pod %s ended %s without a result: %s", pod.Name, where, tidy(pod.Status.Reason+" "+pod.Status.Message))
}

// disruption says why the cluster took the pod away: eviction, preemption,
// drain, a lost node. "" when it did not say.
func (s podState) disruption() string {
	if s.pod == nil {
		return ""
	}
	var parts []string
	for _, c := range s.pod.Status.Conditions {
		if c.Type == corev1.DisruptionTarget && c.Status == corev1.ConditionTrue {
			parts = append(parts, c.Reason+": "+tidy(c.Message))
		}
	}
	if r := s.pod.Status.Reason; r != "" && r != "DeadlineExceeded" {
		parts = append(parts, r+": "+tidy(s.pod.Status.Message))
	}
	return strings.Join(parts, "; ")
}

// whyStopped says why the pod is about to be gone, as far as it is known; "" when it
// is not. asked says that its containers were asked to end. A kubelet asks them also
// when nobody wants the pod gone, as after a restart of its container runtime.
func (s podState) whyStopped(asked bool) string {
	why := s.disruption()
	switch {
	case why != "" || s.pod == nil:
		return why
	case s.pod.DeletionTimestamp != nil:
		return "somebody deleted it"
	case asked && !s.gone:
		return "nobody is known to have deleted or evicted it, so its node did that"
	}
	return ""
}

// ending describes how a container ended.
func ending(t *corev1.ContainerStateTerminated) string {
	parts := []string{t.Reason, fmt.Sprintf("exit code %d", t.ExitCode)}
	if t.Reason == "" {
		parts = parts[1:]
	}
	if t.Signal != 0 {
		parts = append(parts, fmt.Sprintf("signal %d", t.Signal))
	}
	if t.Message != "" && !strings.HasPrefix(t.Message, "{") {
		parts = append(parts, tidy(t.Message))
	}
	return strings.Join(parts, ", ")
}
