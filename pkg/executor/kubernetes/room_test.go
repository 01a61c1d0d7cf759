package kubernetes_test

import (
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	clienttest "k8s.io/client-go/testing"

	"github.com/runnerd/runnerd/pkg/executor"
	"github.com/runnerd/runnerd/pkg/executor/kubernetes"
	"github.com/runnerd/runnerd/pkg/job"
)

// room asks for room and checks what the answer is for; "" for room.
func (r *run) room(want string, taken []int64, requests int) string {
	r.t.Helper()
	err := r.executor.Room(r.t.Context(), taken, requests)
	var full *executor.FullError
	if errors.As(err, &full) {
		if full.For != want {
			r.t.Errorf("Room: %v (%s), want %q", err, full.For, want)
		}
		return full.Text
	}
	if err != nil || want != "" {
		r.t.Errorf("Room: %v, want %q", err, want)
	}
	return ""
}

func unschedulable(p *corev1.Pod) {
	p.Status.Phase = corev1.PodPending
	p.Status.Conditions = []corev1.PodCondition{{
		Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: corev1.PodReasonUnschedulable, Message: "0/3 nodes are available: 3 Insufficient cpu.",
	}}
}

func TestNoRoomWhilePodsWaitForANode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, newCluster(t), kubernetes.Config{PauseOnUnschedulable: 1}, simplePlan())
		r.room("", []int64{4711}, 0)
		r.update(unschedulable)
		if text := r.room(executor.FullUnschedulable, []int64{4711}, 0); !strings.Contains(text, "Insufficient cpu") {
			t.Errorf("Room: %q, want the scheduler's words in it", text)
		}
		log := r.start()
		r.room("", []int64{4711}, 0)
		log.result(job.Outcome{State: job.Success})
		r.wait()
	})
}

func TestPausesCanBeTurnedOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t)
		c.quota("pods", "1", "1")
		r := start(t, c, kubernetes.Config{}, simplePlan())
		r.update(unschedulable)
		r.room("", []int64{4711}, 5)
	})
}

// TestOddPodSaysNothingOfRoom: a job that wants a node that there is not must not
// keep the runner from all others.
func TestOddPodSaysNothingOfRoom(t *testing.T) {
	for name, change := range map[string]func(*job.Plan){
		"nodes of a rule": func(p *job.Plan) { p.Placement.NodeSelector = map[string]string{"pool": "none"} },
		"nodes of the job": func(p *job.Plan) {
			p.Overwrites = []job.Overwrite{{Setting: "node_selector", Key: "KUBERNETES_NODE_SELECTOR_POOL", Value: "pool=none", Service: -1}}
		},
		"amounts of the job": func(p *job.Plan) {
			p.Overwrites = []job.Overwrite{{Setting: "cpu_request", Key: "KUBERNETES_CPU_REQUEST", Value: "900", Service: -1}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				plan := simplePlan()
				change(plan)
				r := start(t, newCluster(t), kubernetes.Config{
					PauseOnUnschedulable: 1, PauseOnQuota: true,
					Permissions: kubernetes.Permissions{
						Patterns: map[string]string{"node_selector": ".*"}, Most: map[string]string{"cpu_request": "1000"},
					},
				}, plan)
				r.update(unschedulable)
				r.room("", []int64{4711}, 0)
			})
		})
	}
}

// quota makes a ResourceQuota with one resource, or changes it.
func (c *cluster) quota(name corev1.ResourceName, hard, used string) {
	c.t.Helper()
	q := &corev1.ResourceQuota{
		ObjectMeta: metav1.ObjectMeta{Name: "compute", Namespace: namespace},
		Status: corev1.ResourceQuotaStatus{
			Hard: corev1.ResourceList{name: resource.MustParse(hard)}, Used: corev1.ResourceList{name: resource.MustParse(used)},
		},
	}
	quotas := c.CoreV1().ResourceQuotas(namespace)
	_, err := quotas.Create(c.t.Context(), q, metav1.CreateOptions{})
	if apierrors.IsAlreadyExists(err) {
		_, err = quotas.Update(c.t.Context(), q, metav1.UpdateOptions{})
	}
	if err != nil {
		c.t.Fatal(err)
	}
}

func (c *cluster) quotaReads() int {
	n := 0
	for _, a := range c.Actions() {
		if a.Matches("list", "resourcequotas") {
			n++
		}
	}
	return n
}

// TestNoRoomInTheQuota: jobs that are on hand and have no pod yet are counted, too.
func TestNoRoomInTheQuota(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t)
		c.quota("pods", "3", "0")
		r := start(t, c, kubernetes.Config{PauseOnQuota: true}, simplePlan())
		time.Sleep(time.Minute)
		c.quota("pods", "3", "1") // with the pod of job 4711
		r.room("", []int64{4711}, 0)
		r.room("", []int64{4711, 1}, 0)
		r.room("", []int64{4711}, 1)
		r.room(executor.FullQuota, []int64{4711, 1}, 1)
		if text := r.room(executor.FullQuota, []int64{4711, 1, 2}, 0); !strings.Contains(text, `quota "compute" of namespace "ci"`) || !strings.Contains(text, "1 of 3 used, and 2 on the way") {
			t.Errorf("Room: %q", text)
		}
		if n := c.quotaReads(); n != 1 {
			t.Errorf("the quota was read %d times at one moment, want once", n)
		}
		r.start().result(job.Outcome{State: job.Success})
		r.wait()
		r.room("", []int64{4711, 1}, 0) // the job is over and has still its slot
	})
}

func TestQuotaIsReadSeldomWhereThereIsNone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t)
		r := start(t, c, kubernetes.Config{PauseOnQuota: true}, simplePlan())
		for range 100 {
			r.room("", nil, 0)
			time.Sleep(time.Second)
		}
		if n := c.quotaReads(); n != 2 {
			t.Errorf("%d readings in 100 s, want 2", n)
		}
	})
}

func TestQuotaThatMayNotBeRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t)
		c.quota("pods", "0", "0")
		c.PrependReactor("list", "resourcequotas", func(clienttest.Action) (bool, runtime.Object, error) {
			return true, nil, apierrors.NewForbidden(schema.GroupResource{Resource: "resourcequotas"}, "", errors.New("no"))
		})
		r := start(t, c, kubernetes.Config{PauseOnQuota: true}, simplePlan())
		for range 100 {
			r.room("", nil, 0)
			time.Sleep(time.Minute)
		}
		if n := c.quotaReads(); n != 1 {
			t.Errorf("%d readings, want 1", n)
		}
	})
}

// TestClusterThatDoesNotAnswerHoldsNothingUp: at least not each request for a job.
func TestClusterThatDoesNotAnswerHoldsNothingUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t)
		c.PrependReactor("list", "resourcequotas", func(clienttest.Action) (bool, runtime.Object, error) {
			time.Sleep(5 * time.Second)
			return true, nil, errors.New("no answer")
		})
		r := start(t, c, kubernetes.Config{PauseOnQuota: true}, simplePlan())
		began := time.Now()
		for range 10 {
			r.room("", nil, 0)
		}
		if took := time.Since(began); took != 5*time.Second {
			t.Errorf("ten questions took %v, want one wait of 5 s", took)
		}
	})
}

// TestRefusedPodLeavesNoRoom: the API server knows more of quotas than is computed
// here. The job's log says once what it waits for.
func TestRefusedPodLeavesNoRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t)
		var used, free atomic.Int32
		used.Store(5)
		c.PrependReactor("create", "pods", func(clienttest.Action) (bool, runtime.Object, error) {
			used.Add(1) // by others
			return free.Load() == 0, nil, apierrors.NewForbidden(schema.GroupResource{Resource: "pods"}, "p",
				errors.New("exceeded quota: gpu, requested: requests.gpu=1, used: requests.gpu="+resource.NewQuantity(int64(used.Load()), "").String()+", limited: requests.gpu=5"))
		})
		r := start(t, c, kubernetes.Config{PauseOnQuota: true}, simplePlan())
		time.Sleep(time.Minute)
		synctest.Wait()
		r.room(executor.FullQuota, []int64{4711}, 0)
		want := "Waiting for room in the quota of namespace ci (create pod): exceeded quota: gpu, requested: requests.gpu=1, limited: requests.gpu=5"
		if n := strings.Count(r.notes.String(), "Waiting"); n != 1 || !strings.Contains(r.notes.String(), want) {
			t.Errorf("notes = %q, want one line %q", r.notes, want)
		}
		free.Store(1)
		time.Sleep(10 * time.Second)
		synctest.Wait()
		r.room("", []int64{4711}, 0)
		r.start().result(job.Outcome{State: job.Success})
		r.wait()
	})
}
