package kubernetes

import (
	"context"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	informers "k8s.io/client-go/informers/core/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
)

// A podWatcher sees all pods of an executor in one namespace through one watch
// and tells each job of its own.
type podWatcher struct {
	namespace string
	informer  cache.SharedIndexInformer

	mu    sync.Mutex
	views map[string]*podView // by pod name
}

func newPodWatcher(api kubernetes.Interface, namespace, selector string) *podWatcher {
	w := &podWatcher{namespace: namespace, views: map[string]*podView{}}
	w.informer = informers.NewFilteredPodInformer(api, namespace, 0, cache.Indexers{}, func(o *metav1.ListOptions) {
		o.LabelSelector = selector
	})
	return w
}

func (w *podWatcher) run(ctx context.Context) error {
	if err := w.informer.SetTransform(slim); err != nil {
		return fmt.Errorf("watch pods of namespace %q: %w", w.namespace, err)
	}
	handler, err := w.informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(o any) { w.tell(o, podState{}) },
		UpdateFunc: func(_, o any) { w.tell(o, podState{}) },
		DeleteFunc: func(o any) {
			last, stale := o.(cache.DeletedFinalStateUnknown)
			if stale {
				o = last.Obj
			}
			w.tell(o, podState{gone: true, stale: stale})
		},
	})
	if err != nil {
		return fmt.Errorf("watch pods of namespace %q: %w", w.namespace, err)
	}
	defer func() { _ = w.informer.RemoveEventHandler(handler) }()
	w.informer.RunWithContext(ctx)
	return nil
}

// slim drops from a pod what nobody here reads, so that the informer's memory
// of it is small.
func slim(o any) (any, error) {
	pod, ok := o.(*corev1.Pod)
	if !ok {
		return o, nil
	}
	pod.ManagedFields = nil
	pod.Spec.Volumes = nil
	for i := range pod.Spec.Containers {
		c := &pod.Spec.Containers[i]
		*c = corev1.Container{Name: c.Name, Image: c.Image, Resources: c.Resources}
	}
	return pod, nil
}

// tell tells a pod's job of its state, which o completes.
func (w *podWatcher) tell(o any, state podState) {
	pod, ok := o.(*corev1.Pod)
	if !ok {
		return
	}
	w.mu.Lock()
	view := w.views[pod.Name]
	w.mu.Unlock()
	if view != nil {
		state.pod = pod
		view.set(state)
	}
}

// view subscribes to a pod, which need not exist yet; end it with drop. A pod
// has one view at a time.
func (w *podWatcher) view(name string) *podView {
	v := &podView{namespace: w.namespace, name: name, changed: make(chan struct{})}
	w.mu.Lock()
	w.views[name] = v
	w.mu.Unlock()
	if o, ok, err := w.informer.GetStore().GetByKey(w.namespace + "/" + name); err == nil && ok {
		w.tell(o, podState{})
	}
	return v
}

func (w *podWatcher) drop(v *podView) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.views[v.name] == v {
		delete(w.views, v.name)
	}
}

// A podState is what the last event said.
type podState struct {
	pod   *corev1.Pod // nil before the first event; the last known one when gone
	gone  bool
	stale bool // gone while the watch was broken: what pod became after that is not known
}

// A podView is one pod as the informer sees it.
type podView struct {
	namespace, name string

	mu      sync.Mutex
	state   podState
	changed chan struct{} // closed at the next change
}

// get returns the state and a channel that closes when it changes.
func (v *podView) get() (podState, <-chan struct{}) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.state, v.changed
}

// await returns when enough says that the state is what is waited for, or when ctx or
// patience ends.
func (v *podView) await(ctx context.Context, patience time.Duration, enough func(podState) bool) {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	for {
		state, changed := v.get()
		if enough(state) {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
			return
		case <-changed:
		}
	}
}

func (v *podView) set(s podState) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.state = s
	close(v.changed)
	v.changed = make(chan struct{})
}
