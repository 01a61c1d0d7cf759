package poller

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/runnerd/runnerd/pkg/job"
)

// A quota is a place with room for so many jobs.
type quota struct {
	mu   sync.Mutex
	room int
	most int // jobs and requests that it was asked about at once
}

func (q *quota) look(_ context.Context, taken []int64, requests int) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.most = max(q.most, len(taken)+requests)
	if len(taken)+requests >= q.room {
		return fullError(fmt.Sprintf("%d of %d are used", len(taken)+requests, q.room))
	}
	return nil
}

func (q *quota) set(room int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.room = room
}

type fullError string

func (e fullError) Error() string  { return string(e) }
func (e fullError) Reason() string { return "quota" }

// TestNoJobIsTakenWithoutRoom: also not by a second request while a first one may
// still bring a job.
func TestNoJobIsTakenWithoutRoom(t *testing.T) {
	for _, requests := range []int{1, 5} {
		t.Run(fmt.Sprint(requests, " requests"), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				server, hands, place := newGitLab(), newCrew(time.Minute), &quota{room: 3}
				for i := range 10 {
					server.add(&job.Job{ID: int64(i)})
				}
				stop := start(t, New(Options{
					Source: server, Handler: hands, Slots: NewSlots(100), Room: place.look,
					Settings: Settings{RequestConcurrency: requests},
				}))
				defer stop()
				pass(30 * time.Second)
				if hands.count() != 3 {
					t.Errorf("%d jobs were taken, there is room for 3", hands.count())
				}
				pass(5 * time.Minute)
				if hands.count() != 10 || hands.most != 3 {
					t.Errorf("%d jobs ran, %d at once; want 10, 3 at once", hands.count(), hands.most)
				}
			})
		})
	}
}

// TestHeldRequestTakesNoRoom: one that waits at GitLab must not keep another from
// being sent.
func TestHeldRequestTakesNoRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, place := newGitLab(), &quota{room: 1}
		p := New(Options{Source: server, Handler: newCrew(0), Slots: NewSlots(1), Room: place.look})
		defer start(t, p)()
		pass(10 * time.Second)
		p.room.mu.Lock()
		defer p.room.mu.Unlock()
		if server.open != 1 || p.room.requests != 0 {
			t.Errorf("%d requests are open, %d take room; want 1 and 0", server.open, p.room.requests)
		}
	})
}

// TestNoSlotIsKeptWithoutRoom: another entry has to get it.
func TestNoSlotIsKeptWithoutRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slots, hands := NewSlots(1), newCrew(time.Second)
		full, other := newGitLab(), newGitLab()
		defer start(t, New(Options{Source: full, Handler: hands, Slots: slots, Room: (&quota{}).look}))()
		defer start(t, New(Options{Source: other, Handler: hands, Slots: slots}))()
		full.add(&job.Job{ID: 1})
		other.add(&job.Job{ID: 2})
		pass(10 * time.Second)
		if _, ran := hands.started[2]; hands.count() != 1 || !ran {
			t.Errorf("jobs %v ran, want that of the entry that has room", hands.started)
		}
		if len(full.asked) != 0 {
			t.Errorf("%d requests were sent without room", len(full.asked))
		}
	})
}

func TestPauseIsToldAndCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		core, logs := observer.New(zap.InfoLevel)
		registry := prometheus.NewRegistry()
		metrics := NewMetrics(registry, NewSlots(1))
		server, place := newGitLab(), &quota{}
		p := New(Options{
			Source: server, Handler: newCrew(0), Slots: NewSlots(1), Room: place.look, Metrics: metrics, Log: zap.New(core),
			Labels: Labels{Runner: "abc", RunnerName: "ci", SystemID: "r_1"},
		})
		stop := start(t, p)
		paused := func() float64 { return value(t, registry, "runnerd_intake_paused", "quota") }
		pass(time.Second)
		if paused() != 1 || logs.Len() != 0 {
			t.Errorf("after 1 s: gauge %v, log %v; want 1 and nothing", paused(), logs.All())
		}
		pass(time.Minute)
		place.set(1)
		pass(10 * time.Second)
		if paused() != 0 || value(t, registry, "runnerd_intake_pauses_total", "quota") != 1 {
			t.Error("the pause is over, and was one; the metrics say something else")
		}
		entries := logs.TakeAll()
		if len(entries) != 2 || entries[0].ContextMap()["why"] != "0 of 0 are used" || entries[1].ContextMap()["reason"] != "quota" {
			t.Errorf("log %v, want one line for the pause and one for its end", entries)
		}
		// A moment without room is worth no line.
		place.set(0)
		for paused() == 0 { // until the request that is held has ended
			pass(100 * time.Millisecond)
		}
		place.set(1)
		pass(2 * time.Second)
		if logs.Len() != 0 {
			t.Errorf("log %v, want nothing", logs.All())
		}
		place.set(0)
		pass(70 * time.Second)
		stop()
		if paused() != 0 {
			t.Error("the poller has stopped, and still counts as paused")
		}
	})
}

// value is that of the one series of a metric with this reason.
func value(t *testing.T, registry *prometheus.Registry, name, reason string) float64 {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			for _, l := range m.GetLabel() {
				if family.GetName() == name && l.GetName() == "reason" && l.GetValue() == reason {
					return m.GetGauge().GetValue() + m.GetCounter().GetValue()
				}
			}
		}
	}
	t.Fatalf("no series %s with reason %q", name, reason)
	return 0
}
