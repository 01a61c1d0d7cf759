package kubernetes

import (
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/runnerd/runnerd/pkg/job"
)

// Ended implements [executor.Recorder], from what the watch has seen.
func (e *Executor) Ended(plan *job.Plan, started string) time.Time {
	pods := e.pods[e.namespace(plan)]
	if pods == nil || started == "" {
		return time.Time{}
	}
	o, ok, err := pods.informer.GetStore().GetByKey(pods.namespace + "/" + started)
	pod, isPod := o.(*corev1.Pod)
	if err != nil || !ok || !isPod {
		return time.Time{}
	}
	state := podState{pod: pod}
	// The helper stays for a while, and so does the build container of a failed job
	// where the config wants it to.
	var first time.Time
	for _, name := range []string{containerHelper, containerBuild} {
		if t := state.terminated(name); t != nil && (first.IsZero() || t.FinishedAt.Time.Before(first)) {
			first = t.FinishedAt.Time
		}
	}
	return first
}
