package poller

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/runnerd/runnerd/pkg/job"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// gitlab is a small GitLab: a queue of jobs, and requests held by its value.
type gitlab struct {
	mu      sync.Mutex
	changed chan struct{} // closed at the next change
	version int
	queue   []*job.Job
	asked   []time.Time
	open    int
	most    int
	hold    time.Duration
	slow    time.Duration // of an answer that is not held
}

func newGitLab() *gitlab {
	return &gitlab{changed: make(chan struct{}), hold: 50 * time.Second, slow: 10 * time.Millisecond}
}

func (g *gitlab) add(jobs ...*job.Job) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.queue = append(g.queue, jobs...)
	g.version++
	close(g.changed)
	g.changed = make(chan struct{})
}

func (g *gitlab) RequestJob(ctx context.Context, lastUpdate string) (job.Offer, error) {
	g.mu.Lock()
	g.asked = append(g.asked, time.Now())
	g.open++
	g.most = max(g.most, g.open)
	value, changed := fmt.Sprint("v", g.version), g.changed
	g.mu.Unlock()
	defer func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.open--
	}()
	if lastUpdate == value {
		select {
		case <-changed:
		case <-time.After(g.hold):
		case <-ctx.Done():
			return job.Offer{}, context.Cause(ctx)
		}
		return job.Offer{}, nil
	}
	select {
	case <-time.After(g.slow):
	case <-ctx.Done():
		return job.Offer{}, context.Cause(ctx)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.queue) == 0 {
		return job.Offer{LastUpdate: fmt.Sprint("v", g.version)}, nil
	}
	j := g.queue[0]
	g.queue = g.queue[1:]
	return job.Offer{Job: j}, nil
}

// A crew handles jobs by sleeping, and knows who ran when.
type crew struct {
	mu      sync.Mutex
	takes   time.Duration
	running int
	most    int
	started map[int64]time.Time
	slots   map[int64]Slot
	damaged []int64
}

func newCrew(takes time.Duration) *crew {
	return &crew{takes: takes, started: map[int64]time.Time{}, slots: map[int64]Slot{}}
}

func (c *crew) Handle(ctx context.Context, j *job.Job, slot Slot) {
	c.mu.Lock()
	c.running++
	c.most = max(c.most, c.running)
	c.started[j.ID] = time.Now()
	c.slots[j.ID] = slot
	c.mu.Unlock()
	select {
	case <-time.After(c.takes):
	case <-ctx.Done():
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.running--
}

func (c *crew) Damaged(_ context.Context, d *job.DamagedError) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.damaged = append(c.damaged, d.ID)
}

func (c *crew) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.started)
}

// start runs a poller until the returned stop, which waits for it.
func start(t *testing.T, p *Poller) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancelCause(t.Context())
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx, context.WithoutCancel(ctx)) }()
	return func() {
		cancel(errors.New("the process is to end"))
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	}
}

// pass lets time pass until everybody waits again.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func TestHeldPollThatEndsEarlyIsFollowedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, hands := newGitLab(), newCrew(time.Second)
		stop := start(t, New(Options{Source: server, Handler: hands, Slots: NewSlots(1)}))
		defer stop()
		pass(10 * time.Second)
		created := time.Now()
		server.add(&job.Job{ID: 1})
		pass(time.Second)
		hands.mu.Lock()
		defer hands.mu.Unlock()
		if at, ok := hands.started[1]; !ok || at.Sub(created) > 200*time.Millisecond {
			t.Errorf("job started %s after it was created (started: %v), want at most 200ms", at.Sub(created), ok)
		}
	})
}

func TestIdlePollerAsksOncePerHold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := newGitLab()
		stop := start(t, New(Options{Source: server, Handler: newCrew(0), Slots: NewSlots(1)}))
		pass(10 * time.Minute)
		stop()
		if n := len(server.asked); n < 12 || n > 14 {
			t.Errorf("%d requests in 10 min with a hold of 50 s, want about 13", n)
		}
	})
}

func TestNeverMoreJobsThanSlotsAndNobodyStarves(t *testing.T) {
	for _, concurrent := range []int{1, 3} {
		t.Run(fmt.Sprint("concurrent ", concurrent), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				slots, hands := NewSlots(concurrent), newCrew(10*time.Second)
				var servers []*gitlab
				for i := range 4 {
					server := newGitLab()
					servers = append(servers, server)
					defer start(t, New(Options{Source: server, Handler: hands, Slots: slots}))()
					for n := range 5 {
						server.add(&job.Job{ID: int64(100*i + n)})
					}
				}
				pass(5 * time.Minute)
				if got := hands.count(); got != 20 {
					t.Errorf("%d of 20 jobs ran in 5 min", got)
				}
				if hands.most > concurrent {
					t.Errorf("%d jobs at once with concurrent = %d", hands.most, concurrent)
				}
				// Everybody idles now: each entry still notices a job at once.
				for i, server := range servers {
					created := time.Now()
					server.add(&job.Job{ID: int64(1000 + i)})
					pass(15 * time.Second)
					if took := hands.started[int64(1000+i)].Sub(created); took < 0 || took > 200*time.Millisecond {
						t.Errorf("entry %d: idle daemon took a job after %s", i, took)
					}
				}
			})
		})
	}
}

func TestLimitAndConcurrentMayChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, hands, slots := newGitLab(), newCrew(time.Hour), NewSlots(3)
		p := New(Options{Source: server, Handler: hands, Slots: slots, Settings: Settings{Limit: 1}})
		for i := range 6 {
			server.add(&job.Job{ID: int64(i), ProjectID: int64(i % 2)})
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		done := make(chan error, 1)
		go func() { done <- p.Run(ctx, ctx) }()
		for _, step := range []struct {
			change func()
			want   int
		}{
			{func() {}, 1},
			{func() { p.SetLimit(2) }, 2},
			{func() { p.SetLimit(0) }, 3},
			{func() { slots.SetLimit(5) }, 5},
		} {
			step.change()
			pass(20 * time.Second)
			if got := hands.count(); got != step.want {
				t.Errorf("%d jobs run, want %d", got, step.want)
			}
		}
		want := map[int64]Slot{0: {0, 0}, 1: {1, 0}, 2: {2, 1}, 3: {3, 1}, 4: {4, 2}}
		if diff := cmp.Diff(want, hands.slots); diff != "" {
			t.Errorf("slots (-want +got):\n%s", diff)
		}
		cancel()
		<-done
	})
}

func TestAdoptedJobTakesItsSlot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, hands := newGitLab(), newCrew(time.Second)
		p := New(Options{Source: server, Handler: hands, Slots: NewSlots(1)})
		release := p.Adopt(7, Slot{})
		server.add(&job.Job{ID: 1, ProjectID: 7})
		stop := start(t, p)
		defer stop()
		pass(time.Minute)
		if n := hands.count(); n != 0 || len(server.asked) != 0 {
			t.Errorf("%d jobs, %d requests while the only slot belongs to an adopted job", n, len(server.asked))
		}
		release()
		release()
		pass(10 * time.Second)
		if n := hands.count(); n != 1 {
			t.Errorf("%d jobs after the adopted one was over, want 1", n)
		}
	})
}

func TestStopReadsAnAnswerOnItsWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, hands := newGitLab(), newCrew(time.Second)
		server.slow = 1500 * time.Millisecond
		server.add(&job.Job{ID: 1})
		stop := start(t, New(Options{Source: server, Handler: hands, Slots: NewSlots(1)}))
		pass(100 * time.Millisecond)
		stop()
		if hands.count() != 1 {
			t.Error("the job that came after the stop was lost")
		}
	})
}

func TestStopCutsHeldRequestsOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := newGitLab()
		core, logged := observer.New(zap.WarnLevel)
		stop := start(t, New(Options{Source: server, Handler: newCrew(0), Slots: NewSlots(1), Log: zap.New(core)}))
		pass(10 * time.Second)
		begin := time.Now()
		stop()
		if took := time.Since(begin); took > 0 {
			t.Errorf("stop took %s although the request was held", took)
		}
		for _, line := range logged.All() {
			t.Errorf("a stop is no trouble, and this was logged: %s", line.Message)
		}
	})
}

func TestRequestConcurrencyIsRespected(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, hands := newGitLab(), newCrew(time.Minute)
		for i := range 60 {
			server.add(&job.Job{ID: int64(i)})
		}
		stop := start(t, New(Options{Source: server, Handler: hands, Slots: NewSlots(100), Settings: Settings{RequestConcurrency: 3}}))
		pass(10 * time.Second)
		if server.most != 3 || hands.count() != 60 {
			t.Errorf("%d requests at once and %d jobs, want 3 and 60", server.most, hands.count())
		}
		stop()
	})
}

// damagedOnce answers with a job nobody can read, then with nothing.
type damagedOnce struct{ asked int }

func (d *damagedOnce) RequestJob(ctx context.Context, _ string) (job.Offer, error) {
	if d.asked++; d.asked == 1 {
		return job.Offer{}, fmt.Errorf("request: %w", &job.DamagedError{Credentials: job.Credentials{ID: 9}})
	}
	return job.Offer{LastUpdate: "x"}, nil
}

func TestDamagedJobIsHandedOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hands := newCrew(0)
		stop := start(t, New(Options{Source: &damagedOnce{}, Handler: hands, Slots: NewSlots(1)}))
		pass(time.Second)
		stop()
		if diff := cmp.Diff([]int64{9}, hands.damaged); diff != "" {
			t.Errorf("damaged jobs (-want +got):\n%s", diff)
		}
	})
}

// A late GitLab sends a job in answer to a request that looked held.
type late struct{ jobs chan *job.Job }

func (l *late) RequestJob(ctx context.Context, lastUpdate string) (job.Offer, error) {
	if lastUpdate == "" {
		return job.Offer{LastUpdate: "v"}, nil
	}
	select {
	case j := <-l.jobs:
		return job.Offer{Job: j}, nil
	case <-ctx.Done():
		return job.Offer{}, context.Cause(ctx)
	}
}

func TestJobOfAHeldRequestWaitsForASlot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slots, hands := NewSlots(1), newCrew(10*time.Second)
		one, two := &late{make(chan *job.Job)}, &late{make(chan *job.Job)}
		defer start(t, New(Options{Source: one, Handler: hands, Slots: slots}))()
		defer start(t, New(Options{Source: two, Handler: hands, Slots: slots}))()
		pass(10 * time.Second) // both requests are held
		one.jobs <- &job.Job{ID: 1}
		two.jobs <- &job.Job{ID: 2}
		pass(30 * time.Second)
		if hands.count() != 2 || hands.most != 1 {
			t.Errorf("%d jobs ran, %d at once; want 2, one at a time", hands.count(), hands.most)
		}
	})
}

// counted answers the n-th request, from 1, and notes when it came.
type counted struct {
	answer func(n int) (job.Offer, error)

	mu    sync.Mutex
	asked []time.Time
}

func (c *counted) RequestJob(context.Context, string) (job.Offer, error) {
	c.mu.Lock()
	c.asked = append(c.asked, time.Now())
	n := len(c.asked)
	c.mu.Unlock()
	return c.answer(n)
}

// TestWaitsAsToldWhateverElseIsAnswered: a second open request must not cut the
// pause short that GitLab asked for in its answer to the first.
func TestWaitsAsToldWhateverElseIsAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := &counted{answer: func(n int) (job.Offer, error) {
			switch n {
			case 1: // with it a second request is allowed
				return job.Offer{Job: &job.Job{ID: 1}, LastUpdate: "v1"}, nil
			case 2:
				time.Sleep(500 * time.Millisecond)
				return job.Offer{}, answer{status: 429, wait: time.Minute}
			case 3:
				time.Sleep(5 * time.Second)
				return job.Offer{}, nil // held, and something has changed
			}
			time.Sleep(50 * time.Second)
			return job.Offer{}, nil
		}}
		p := New(Options{Source: source, Handler: &idle{}, Slots: NewSlots(0), Settings: Settings{RequestConcurrency: 2}})
		ctx, stop := context.WithTimeout(t.Context(), 90*time.Second)
		defer stop()
		if err := p.Run(ctx, ctx); err != nil {
			t.Fatal(err)
		}
		if len(source.asked) < 4 {
			t.Fatalf("%d requests, want at least 4", len(source.asked))
		}
		if pause := source.asked[3].Sub(source.asked[1]); pause < time.Minute {
			t.Errorf("asked again after %s, GitLab asked for a minute", pause)
		}
	})
}

// idle is a handler whose jobs are over at once.
type idle struct{}

func (*idle) Handle(context.Context, *job.Job, Slot)     {}
func (*idle) Damaged(context.Context, *job.DamagedError) {}
