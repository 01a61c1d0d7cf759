package kubernetes

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"go.uber.org/zap"
	corev1 "k8s.io/api/core/v1"

	"github.com/runnerd/runnerd/pkg/executor"
	"github.com/runnerd/runnerd/pkg/job"
)

// admit has the job's images judged as they stand in a pod.
func admit(task executor.Task, pod *corev1.Pod) error {
	if task.Admit == nil {
		return nil
	}
	return task.Admit(jobContainers(task.Plan, pod))
}

// admitAgain has them judged as the cluster has made them: an admission webhook
// may have changed what was sent. Containers that it has added (a service mesh's)
// are the cluster's own.
//
// A pod that is refused goes at once, since its containers may be running
// already, and Remove may have to wait for GitLab.
func (a *attempt) admitAgain(ctx context.Context, task executor.Task, sent, created *corev1.Pod) error {
	changes := changedImages(sent, created)
	if task.Admit == nil || len(changes) == 0 {
		return nil
	}
	if err := admit(task, created); err != nil {
		a.log.Info("pod was changed on its way and is refused", zap.Strings("changes", changes), zap.Error(err))
		if err := a.e.deletePod(ctx, sent.Namespace, sent.Name, seconds(a.e.cfg.CleanupGracePeriod)); err != nil {
			a.log.Warn("refused pod runs until it is removed", zap.Error(err))
		}
		return err
	}
	a.log.Info("pod was changed on its way and is accepted", zap.Strings("changes", changes))
	return nil
}

// jobContainers are the containers of a pod that run images of the job's choice,
// the build first.
func jobContainers(plan *job.Plan, pod *corev1.Pod) []executor.Container {
	found := images(pod)
	var list []executor.Container
	add := func(service int, name string) {
		if image, ok := found[name]; ok {
			list = append(list, executor.Container{Service: service, Image: image})
		}
	}
	add(-1, containerBuild)
	for i, name := range serviceNames(plan) {
		if !plan.Services[i].Configured {
			add(i, name)
		}
	}
	return list
}

// changedImages says, for people, where created does not run what was sent.
func changedImages(sent, created *corev1.Pod) []string {
	before, after := images(sent), images(created)
	var changes []string
	for _, name := range slices.Sorted(maps.Keys(before)) {
		image, ok := after[name]
		switch {
		case !ok:
			changes = append(changes, fmt.Sprintf("container %s is gone", name))
		case image != before[name]:
			changes = append(changes, fmt.Sprintf("container %s: image %q instead of %q", name, image, before[name]))
		}
	}
	return changes
}

// images are those of a pod's containers of all kinds, by the containers' names,
// which no two of a pod share.
func images(pod *corev1.Pod) map[string]string {
	out := map[string]string{}
	for _, list := range [][]corev1.Container{pod.Spec.InitContainers, pod.Spec.Containers} {
		for i := range list {
			out[list[i].Name] = list[i].Image
		}
	}
	for i := range pod.Spec.EphemeralContainers {
		c := &pod.Spec.EphemeralContainers[i].EphemeralContainerCommon
		out[c.Name] = c.Image
	}
	return out
}
