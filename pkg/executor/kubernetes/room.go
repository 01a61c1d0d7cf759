package kubernetes

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/runnerd/runnerd/pkg/executor"
	"github.com/runnerd/runnerd/pkg/job"
)

// A room is what is known of the room for further pods in the runner's own
// namespace. Only pods of the usual shape say something of it: one for which a job
// or a rule wants more, or other nodes, may wait while there is room for all others.
type room struct {
	quotas *quotas

	mu      sync.Mutex
	jobs    map[int64]roomFor
	refused map[int64]string // usual jobs whose pod the quota refuses → in its words
}

// A roomFor is what a job takes.
type roomFor struct {
	elsewhere bool      // it is for another namespace
	usual     bool      // its pod is shaped as the config says
	made      time.Time // when its pod was; zero: not yet
	over      bool      // no more will be made for it
}

var _ executor.Roomer = (*Executor)(nil)

// Room implements [executor.Roomer]. It goes by what the cluster has said last: a
// pod for which there is no room after all waits, as it would without the question.
func (e *Executor) Room(ctx context.Context, taken []int64, requests int) error {
	if !e.id.Lease.Holds() {
		return &executor.FullError{For: executor.FullLease, Text: "this runnerd's Lease has run out: the cluster does not answer, or another replica has taken the Lease"}
	}
	if err := e.nodeRoom(); err != nil {
		return err
	}
	return e.quotaRoom(ctx, taken, requests)
}

// nodeRoom goes by the pods that wait for a node.
func (e *Executor) nodeRoom() error {
	most := e.cfg.PauseOnUnschedulable
	if most <= 0 {
		return nil
	}
	var waiting []*corev1.Pod
	for _, o := range e.pods[e.cfg.Namespace].informer.GetStore().List() {
		if pod, ok := o.(*corev1.Pod); ok && unschedulable(pod) != "" && e.room.isUsual(jobOf(pod.Labels)) {
			waiting = append(waiting, pod)
		}
	}
	if len(waiting) < most {
		return nil
	}
	return &executor.FullError{
		For:  executor.FullUnschedulable,
		Text: fmt.Sprintf("%d of this runner's pods wait for a node: %s: %s", len(waiting), waiting[0].Name, unschedulable(waiting[0])),
	}
}

// unschedulable says why the scheduler finds no node for a pod; "" when it has
// found one, or has not looked yet.
func unschedulable(pod *corev1.Pod) string {
	if pod.Spec.NodeName != "" || pod.DeletionTimestamp != nil || pod.Status.Phase != corev1.PodPending {
		return ""
	}
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse && c.Reason == corev1.PodReasonUnschedulable {
			return tidy(c.Message)
		}
	}
	return ""
}

// quotaRoom goes by the namespace's quotas, and by pods that they have refused.
func (e *Executor) quotaRoom(ctx context.Context, taken []int64, requests int) error {
	if e.room.quotas == nil {
		return nil
	}
	if why := e.room.refusal(); why != "" {
		return &executor.FullError{For: executor.FullQuota, Text: "a job waits for the namespace's quota: " + why}
	}
	list, read := e.room.quotas.get(ctx)
	coming := e.room.coming(taken, read) + requests
	for i := range list {
		if why := lacking(&list[i], e.room.quotas.size(), coming); why != "" {
			return &executor.FullError{For: executor.FullQuota, Text: why}
		}
	}
	return nil
}

// begin says that Run works on a job.
func (r *room) begin(id int64, f roomFor) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.jobs[id] = f
}

// made says that a job's pod has been made.
func (r *room) made(id int64, at time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if f, known := r.jobs[id]; known {
		f.made = at
		r.jobs[id] = f
	}
	delete(r.refused, id)
}

// refuse says that the quota has no room for what a job needs.
func (r *room) refuse(id int64, why string) {
	if r.quotas != nil {
		r.quotas.stale()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if f := r.jobs[id]; f.usual {
		r.refused[id] = why
	}
}

// over says that Run is over for a job.
func (r *room) over(id int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if f, known := r.jobs[id]; known {
		f.over = true
		r.jobs[id] = f
	}
	delete(r.refused, id)
}

// forget says that nothing of a job is left, or that it is another manager's now.
func (r *room) forget(id int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.jobs, id)
}

// isUsual reports whether a job's pod is shaped as the config says. Those of an
// earlier process are taken for it.
func (r *room) isUsual(id int64) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	f, known := r.jobs[id]
	return f.usual || !known
}

func (r *room) refusal() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, id := range slices.Sorted(maps.Keys(r.refused)) {
		return r.refused[id]
	}
	return ""
}

// coming is how many of the jobs on hand are not in what was read of the quotas.
func (r *room) coming(taken []int64, read time.Time) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := 0
	for _, id := range taken {
		if f := r.jobs[id]; !f.elsewhere && !f.over && (f.made.IsZero() || f.made.After(read)) {
			n++
		}
	}
	return n
}

// roomFor says what room a job's pod takes.
func (e *Executor) roomFor(plan *job.Plan, w *wishes) roomFor {
	p := plan.Placement
	elsewhere := e.namespace(plan) != e.cfg.Namespace
	shaped := len(w.nodeSelector)+len(w.tolerations)+len(w.amounts)+len(w.services) > 0 ||
		len(p.NodeSelector)+len(p.NodeTolerations) > 0 || p.ResourceClass != ""
	return roomFor{elsewhere: elsewhere, usual: !elsewhere && !shaped}
}

// made says that a job's pod is there. The usual one, without services of the job's,
// shows how large the usual ones are.
func (e *Executor) made(plan *job.Plan, pod *corev1.Pod) {
	e.room.made(plan.JobID, time.Now())
	own := slices.ContainsFunc(plan.Services, func(s job.Service) bool { return !s.Configured })
	if e.room.quotas != nil && !own && e.room.isUsual(plan.JobID) {
		e.room.quotas.learn(pod)
	}
}
