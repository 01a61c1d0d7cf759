package kubernetes_test

import (
	"errors"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clienttest "k8s.io/client-go/testing"

	"github.com/runnerd/runnerd/pkg/executor"
	"github.com/runnerd/runnerd/pkg/executor/kubernetes"
	"github.com/runnerd/runnerd/pkg/job"
)

var errUnwanted = &job.Failure{Reason: job.RunnerConfigurationError, Message: "image is not wanted here"}

// A judge remembers what it was asked, and refuses from the n-th time on.
type judge struct {
	asked   [][]executor.Container
	refuses int // 0: never
}

func (j *judge) into(task *executor.Task) {
	task.Admit = func(containers []executor.Container) error {
		j.asked = append(j.asked, containers)
		if j.refuses > 0 && len(j.asked) >= j.refuses {
			return errUnwanted
		}
		return nil
	}
}

func admitPlan() *job.Plan {
	plan := simplePlan()
	plan.Image = job.Image{Name: "debian:12", Pinned: "docker.io/library/debian@sha256:" + sha}
	plan.Services = []job.Service{
		{Image: job.Image{Name: "registry.example.com/ops/proxy:1"}, Configured: true},
		{Image: job.Image{Name: "postgres:16"}, Aliases: []string{"db"}},
	}
	return plan
}

func TestAdmitComesBeforeAnythingIsCreated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := &judge{refuses: 1}
		plan := admitPlan()
		r := start(t, newCluster(t), kubernetes.Config{}, plan, j.into)
		r.wait()
		if !errors.Is(r.err, errUnwanted) {
			t.Errorf("Run = %v, want what Admit said", r.err)
		}
		want := [][]executor.Container{{{Service: -1, Image: plan.Image.Pinned}, {Service: 1, Image: "postgres:16"}}}
		if diff := cmp.Diff(want, j.asked); diff != "" {
			t.Errorf("Admit was asked (-want +got):\n%s", diff)
		}
		for _, action := range r.Actions() {
			if action.GetVerb() == "create" {
				t.Errorf("%s was created", action.GetResource().Resource)
			}
		}
		if err := r.executor.Remove(t.Context(), r.task); err != nil {
			t.Errorf("Remove: %v", err)
		}
	})
}

// webhook changes pods as they are created.
func (c *cluster) webhook(change func(*corev1.Pod)) {
	c.PrependReactor("create", "pods", func(action clienttest.Action) (bool, runtime.Object, error) {
		create := action.(clienttest.CreateAction)
		pod := create.GetObject().(*corev1.Pod).DeepCopy()
		change(pod)
		return true, pod, c.Tracker().Create(create.GetResource(), pod, create.GetNamespace())
	})
}

func TestAdmitAgain(t *testing.T) {
	find := func(p *corev1.Pod, name string) *corev1.Container {
		for i := range p.Spec.Containers {
			if c := &p.Spec.Containers[i]; c.Name == name {
				return c
			}
		}
		panic("no container " + name)
	}
	plan := admitPlan()
	build, db := executor.Container{Service: -1, Image: plan.Image.Pinned}, executor.Container{Service: 1, Image: "postgres:16"}
	rewritten := executor.Container{Service: -1, Image: "mirror.example.com/debian:12"}
	tests := []struct {
		name    string
		webhook func(*corev1.Pod)
		again   []executor.Container // what is judged the second time; nil for not at all
	}{
		{"nothing changes", func(*corev1.Pod) {}, nil},
		{"build's image", func(p *corev1.Pod) { find(p, "build").Image = rewritten.Image }, []executor.Container{rewritten, db}},
		{"service's image", func(p *corev1.Pod) { find(p, "db").Image = "evil" }, []executor.Container{build, {Service: 1, Image: "evil"}}},
		{"helper's image", func(p *corev1.Pod) { find(p, "helper").Image = "evil" }, []executor.Container{build, db}},
		{"a sidecar comes", func(p *corev1.Pod) {
			p.Spec.Containers = append([]corev1.Container{{Name: "mesh", Image: "mesh:1"}}, p.Spec.Containers...)
			p.Spec.InitContainers = []corev1.Container{{Name: "mesh-init", Image: "mesh:1"}}
		}, nil},
		{"a service becomes an init container", func(p *corev1.Pod) {
			c := *find(p, "db")
			c.Image = "evil"
			p.Spec.InitContainers = []corev1.Container{c}
			p.Spec.Containers = append(p.Spec.Containers[:2:2], p.Spec.Containers[3:]...)
		}, []executor.Container{build, {Service: 1, Image: "evil"}}},
		{"the build goes", func(p *corev1.Pod) { p.Spec.Containers = p.Spec.Containers[:3] }, []executor.Container{db}},
		{"other fields", func(p *corev1.Pod) { find(p, "build").ImagePullPolicy = corev1.PullAlways }, nil},
	}
	for _, tt := range tests {
		for _, refused := range []bool{false, true} {
			name := tt.name + ", accepted"
			if refused {
				name = tt.name + ", refused"
			}
			t.Run(name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					j := &judge{}
					if refused {
						j.refuses = 2
					}
					c := newCluster(t)
					c.webhook(tt.webhook)
					r := start(t, c, kubernetes.Config{}, plan, j.into)
					want := [][]executor.Container{{build, db}}
					if tt.again != nil {
						want = append(want, tt.again)
					}
					if diff := cmp.Diff(want, j.asked); diff != "" {
						t.Errorf("Admit was asked (-want +got):\n%s", diff)
					}
					if refused && tt.again != nil {
						r.wait()
						if !errors.Is(r.err, errUnwanted) || len(r.pods()) > 0 {
							t.Errorf("Run = %v, pods %q, want what Admit said and no pod", r.err, r.pods())
						}
						return
					}
					r.start().result(job.Outcome{State: job.Success})
					r.wait()
					if r.err != nil || r.outcome.State != job.Success {
						t.Errorf("Run = %+v, %v", r.outcome, r.err)
					}
				})
			})
		}
	}
}
