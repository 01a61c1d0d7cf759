package lease_test

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap/zaptest"
	coordinationv1 "k8s.io/api/coordination/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes/fake"
	clienttest "k8s.io/client-go/testing"

	"github.com/runnerd/runnerd/pkg/lease"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const namespace = "ci"

// newCluster returns an API server that knows versions of Leases, as the real one
// does and the fake one does not.
func newCluster() *fake.Clientset {
	c := fake.NewClientset()
	var mu sync.Mutex
	version := 0
	next := func(l *coordinationv1.Lease) {
		version++
		l.ResourceVersion = strconv.Itoa(version)
	}
	c.PrependReactor("create", "leases", func(action clienttest.Action) (bool, runtime.Object, error) {
		mu.Lock()
		defer mu.Unlock()
		next(action.(clienttest.CreateAction).GetObject().(*coordinationv1.Lease))
		return false, nil, nil
	})
	c.PrependReactor("update", "leases", func(action clienttest.Action) (bool, runtime.Object, error) {
		mu.Lock()
		defer mu.Unlock()
		wanted := action.(clienttest.UpdateAction).GetObject().(*coordinationv1.Lease)
		there, err := c.Tracker().Get(action.GetResource(), namespace, wanted.Name)
		if err != nil {
			return true, nil, err
		}
		if there.(*coordinationv1.Lease).ResourceVersion != wanted.ResourceVersion {
			return true, nil, apierrors.NewConflict(schema.GroupResource{Resource: "leases"}, wanted.Name, errors.New("changed"))
		}
		next(wanted)
		return false, nil, nil
	})
	return c
}

// A replica is a keeper that runs, and the way to cut it off from the cluster.
type replica struct {
	*lease.Keeper
	jobs atomic.Int32
	stop func()
}

// start runs a keeper until it is stopped. While cut holds true, its requests get
// no answer.
func start(t *testing.T, c *fake.Clientset, manager, place string, cut *atomic.Bool) *replica {
	t.Helper()
	return startOver(t, c, manager, place, func(carryOut func() (runtime.Object, error)) (runtime.Object, error) {
		if cut != nil && cut.Load() {
			time.Sleep(4 * time.Second)
			return nil, errors.New("no route to host")
		}
		return carryOut()
	})
}

// startOver runs a keeper whose requests pass a network.
func startOver(t *testing.T, c *fake.Clientset, manager, place string, network func(carryOut func() (runtime.Object, error)) (runtime.Object, error)) *replica {
	t.Helper()
	api := &fake.Clientset{} // a client of its own, with the same objects
	api.AddReactor("*", "*", func(action clienttest.Action) (bool, runtime.Object, error) {
		o, err := network(func() (runtime.Object, error) { return c.Invokes(action, &coordinationv1.Lease{}) })
		return true, o, err
	})
	r := &replica{}
	r.Keeper = lease.New(lease.Options{
		API: api.CoordinationV1(), Namespace: namespace, Manager: manager, Place: place, Log: zaptest.NewLogger(t),
		Jobs: func() int { return int(r.jobs.Load()) },
	})
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { r.Run(ctx) })
	r.stop = sync.OnceFunc(func() { cancel(); running.Wait() })
	t.Cleanup(r.stop)
	synctest.Wait()
	return r
}

func term(t *testing.T, r *replica) int64 {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	term, err := r.Held(ctx)
	if err != nil {
		t.Fatalf("Lease not held within a minute: %v", err)
	}
	return term
}

// until waits for a condition and returns how long that took; it looks every 100 ms.
func until(t *testing.T, what string, ok func() bool) time.Duration {
	t.Helper()
	start := time.Now()
	for !ok() {
		if time.Since(start) > 30*time.Second {
			t.Fatalf("not within 30 s: %s", what)
		}
		time.Sleep(100 * time.Millisecond)
	}
	return time.Since(start)
}

// TestDeath: a replica that is cut off stops before the other takes it for dead, and
// learns of it when it comes back.
func TestDeath(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, cut := newCluster(), &atomic.Bool{}
		a, b := start(t, c, "r_aaaaaaaaaaaa", "a", cut), start(t, c, "r_bbbbbbbbbbbb", "b", nil)
		if got := term(t, a); got != 1 {
			t.Errorf("first term is %d, want 1", got)
		}
		until(t, "b sees a alive", func() bool { return b.Alive() == 2 })
		if b.Dead("r_aaaaaaaaaaaa") || a.Dead("r_aaaaaaaaaaaa") {
			t.Error("a counts as dead while it lives")
		}
		cut.Store(true)
		until(t, "b takes a for dead", func() bool {
			dead := b.Dead("r_aaaaaaaaaaaa")
			if dead && a.Holds() {
				t.Fatal("a still holds its Lease when b takes it for dead")
			}
			return dead
		})
		if b.Alive() != 1 {
			t.Errorf("b sees %d alive, want itself alone", b.Alive())
		}
		if a.Dead("r_cccccccccccc") {
			t.Error("a replica that does not hold takes another for dead")
		}
		cut.Store(false)
		if got := term(t, a); got != 2 {
			t.Errorf("term after the death is %d, want 2", got)
		}
		until(t, "b sees a alive again", func() bool { return !b.Dead("r_aaaaaaaaaaaa") && b.Alive() == 2 })
	})
}

// TestShortCut: an outage that nobody has noticed ends no term.
func TestShortCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, cut := newCluster(), &atomic.Bool{}
		a := start(t, c, "r_aaaaaaaaaaaa", "a", cut)
		term(t, a)
		cut.Store(true)
		until(t, "a does not hold any more", func() bool { return !a.Holds() })
		cut.Store(false)
		if got := term(t, a); got != 1 {
			t.Errorf("term is %d, want still 1: nobody has taken the Lease away", got)
		}
	})
}

// TestRelease: who stops counts as dead at once.
func TestRelease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster()
		a, b := start(t, c, "r_aaaaaaaaaaaa", "a", nil), start(t, c, "r_bbbbbbbbbbbb", "b", nil)
		term(t, a)
		term(t, b)
		a.stop()
		if a.Holds() {
			t.Error("a holds after its release")
		}
		if took := until(t, "b sees that a is gone", func() bool { return b.Dead("r_aaaaaaaaaaaa") }); took > 5*time.Second {
			t.Errorf("that took %v", took)
		}
		time.Sleep(15 * time.Minute)
		synctest.Wait()
		leases, err := c.CoordinationV1().Leases(namespace).List(t.Context(), metav1.ListOptions{})
		if err != nil || len(leases.Items) != 1 {
			t.Errorf("%d Leases are left (%v), want only b's", len(leases.Items), err)
		}
		if !b.Dead("r_aaaaaaaaaaaa") {
			time.Sleep(2 * lease.Duration)
		}
		if !b.Dead("r_aaaaaaaaaaaa") {
			t.Error("a manager without a Lease does not count as dead")
		}
	})
}

// TestReleaseAfterALostAnswer: a renewal that was carried out without this process
// knowing, because it stopped in between, does not keep it from giving the Lease up.
func TestReleaseAfterALostAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, deaf, carriedOut := newCluster(), &atomic.Bool{}, &atomic.Int32{}
		a := startOver(t, c, "r_aaaaaaaaaaaa", "a", func(carryOut func() (runtime.Object, error)) (runtime.Object, error) {
			o, err := carryOut()
			if deaf.Load() {
				carriedOut.Add(1)
				return nil, context.Canceled
			}
			return o, err
		})
		term(t, a)
		deaf.Store(true)
		until(t, "a renewal is carried out", func() bool { return carriedOut.Load() > 0 })
		deaf.Store(false)
		a.stop()
		leases, err := c.CoordinationV1().Leases(namespace).List(t.Context(), metav1.ListOptions{})
		if err != nil || len(leases.Items) != 1 {
			t.Fatalf("%d Leases (%v), want one", len(leases.Items), err)
		}
		if h := leases.Items[0].Spec.HolderIdentity; h != nil {
			t.Errorf("the Lease is still held by %q", *h)
		}
	})
}

// TestSameManager: a second process of one manager waits until the first is dead,
// unless both are of one place.
func TestSameManager(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, cut := newCluster(), &atomic.Bool{}
		a := start(t, c, "r_aaaaaaaaaaaa", "a", cut)
		term(t, a)
		second := start(t, c, "r_aaaaaaaaaaaa", "elsewhere", nil)
		time.Sleep(time.Minute)
		if second.Holds() {
			t.Fatal("two processes hold one Lease")
		}
		cut.Store(true)
		until(t, "the second holds", second.Holds)
		if a.Holds() {
			t.Error("the first still holds")
		}
		second.stop()

		dead := &atomic.Bool{}
		b := start(t, c, "r_bbbbbbbbbbbb", "b", dead)
		term(t, b)
		dead.Store(true) // it dies without a word
		if after := start(t, c, "r_bbbbbbbbbbbb", "b", nil); !after.Holds() {
			t.Error("the next process of the same place has to wait")
		}
	})
}

// TestForbidden: without the right to have Leases the daemon works alone, until it
// gets it.
func TestForbidden(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, forbidden := newCluster(), &atomic.Bool{}
		forbidden.Store(true)
		c.PrependReactor("*", "leases", func(clienttest.Action) (bool, runtime.Object, error) {
			if forbidden.Load() {
				return true, nil, &apierrors.StatusError{ErrStatus: metav1.Status{Code: http.StatusForbidden, Reason: metav1.StatusReasonForbidden}}
			}
			return false, nil, nil
		})
		a := start(t, c, "r_aaaaaaaaaaaa", "a", nil)
		if got := term(t, a); got != 1 {
			t.Errorf("term %d, want 1", got)
		}
		a.Dead("r_bbbbbbbbbbbb")
		time.Sleep(time.Minute)
		if a.Dead("r_bbbbbbbbbbbb") {
			t.Error("who sees no Leases takes others for dead")
		}
		forbidden.Store(false)
		time.Sleep(time.Minute)
		forbidden.Store(true) // a role that is being changed is no reason to stop for
		time.Sleep(4 * time.Second)
		if got := term(t, a); got != 2 {
			t.Errorf("term %d, want 2", got)
		}
	})
}

// TestForeignClock: what a Lease says of the time does not count.
func TestForeignClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster()
		holder, future := "there#1-x", metav1.NewMicroTime(time.Now().Add(240*time.Hour))
		_, err := c.CoordinationV1().Leases(namespace).Create(t.Context(), &coordinationv1.Lease{
			ObjectMeta: metav1.ObjectMeta{Name: "runnerd-x", Namespace: namespace, Labels: map[string]string{"runnerd.io/manager": "r_xxxxxxxxxxxx"}},
			Spec:       coordinationv1.LeaseSpec{HolderIdentity: &holder, RenewTime: &future},
		}, metav1.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		a := start(t, c, "r_aaaaaaaaaaaa", "a", nil)
		if a.Dead("r_xxxxxxxxxxxx") {
			t.Error("dead at first sight")
		}
		if took := until(t, "x is dead", func() bool { return a.Dead("r_xxxxxxxxxxxx") }); took < 14*time.Second || took > 25*time.Second {
			t.Errorf("that took %v", took)
		}
	})
}

// TestShare: replicas share a number of jobs, and never have more together, whoever
// comes or dies.
func TestShare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const total = 7
		c, cut := newCluster(), &atomic.Bool{}
		names := []string{"r_aaaaaaaaaaaa", "r_bbbbbbbbbbbb", "r_cccccccccccc"}
		var all []*replica
		shares := func() (list []int) {
			for _, r := range all {
				list = append(list, r.Share(total))
			}
			return list
		}
		// fill lets every replica take what it may, and checks the sum.
		fill := func() {
			sum := 0
			for _, r := range all {
				r.jobs.Store(max(r.jobs.Load(), int32(r.Share(total))))
				sum += int(r.jobs.Load())
			}
			if sum > total {
				t.Fatalf("%d jobs of %d: shares %v", sum, total, shares())
			}
		}
		settle := func(want ...int) {
			t.Helper()
			for range 600 {
				fill()
				time.Sleep(100 * time.Millisecond)
			}
			if got := shares(); !slices.Equal(got, want) {
				t.Errorf("shares %v, want %v", got, want)
			}
		}
		all = append(all, start(t, c, names[0], "a", cut))
		if got := all[0].Share(total); got != 0 {
			t.Errorf("share at the start is %d, want 0", got)
		}
		settle(7)
		all = append(all, start(t, c, names[1], "b", nil))
		settle(4, 0) // the first one's jobs go on
		all[0].jobs.Store(5)
		settle(4, 2)
		all[0].jobs.Store(4)
		settle(4, 3)
		all = append(all, start(t, c, names[2], "c", nil))
		until(t, "all know of the third", func() bool { return all[0].Alive() == 3 && all[1].Alive() == 3 })
		all[0].jobs.Store(1)
		all[1].jobs.Store(1)
		settle(3, 2, 2)
		cut.Store(true) // the first one dies with its jobs; the second adopts them
		until(t, "a is dead", func() bool { return all[1].Dead(names[0]) })
		adopted := all[0].jobs.Swap(0)
		all = all[1:]
		all[0].jobs.Add(adopted)
		settle(4, 2)
	})
}

// TestNil: without a keeper everything is its own.
func TestNil(t *testing.T) {
	var k *lease.Keeper
	if _, err := k.Held(t.Context()); err != nil || !k.Holds() || k.Dead("r_aaaaaaaaaaaa") || k.Alive() != 1 {
		t.Error("a nil keeper does not hold")
	}
}
