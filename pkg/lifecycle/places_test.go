package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/runnerd/runnerd/pkg/job"
)

// A crowd are jobs that want places.
type crowd struct {
	t      *testing.T
	places *places

	mu      sync.Mutex
	running []int64
	told    []string
	wg      sync.WaitGroup
}

// add has a job take a place, keep it until the returned call, and note how it went.
func (c *crowd) add(ctx context.Context, id, project int64, signals chan job.Signal) (finish func(), result chan error) {
	over := make(chan struct{})
	result = make(chan error, 1)
	c.wg.Go(func() {
		release, err := c.places.take(ctx, &job.Job{ID: id, ProjectID: project, ProjectPath: fmt.Sprintf("group/p%d", project)}, signals, func(s string) {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.told = append(c.told, s)
		})
		result <- err
		if err != nil {
			return
		}
		c.mu.Lock()
		c.running = append(c.running, id)
		c.mu.Unlock()
		<-over
		c.mu.Lock()
		c.running = slices.DeleteFunc(c.running, func(other int64) bool { return other == id })
		c.mu.Unlock()
		release()
		release()
	})
	synctest.Wait()
	return sync.OnceFunc(func() { close(over); synctest.Wait() }), result
}

func (c *crowd) check(want ...int64) {
	c.t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	if got := slices.Sorted(slices.Values(c.running)); !slices.Equal(got, want) {
		c.t.Errorf("jobs %v run, want %v", got, want)
	}
}

func TestPlacesOfAProject(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &crowd{t: t, places: newPlaces(2)}
		release := c.places.seize(7) // adopted
		end1, _ := c.add(t.Context(), 1, 7, nil)
		end2, _ := c.add(t.Context(), 2, 7, nil)
		end3, _ := c.add(t.Context(), 3, 7, nil)
		other, _ := c.add(t.Context(), 4, 8, nil)
		c.check(1, 4)
		if want := "Waiting: project group/p7 has 2 of at most 2 jobs running on this runner"; !slices.Equal(c.told, []string{want, want}) {
			t.Errorf("told %q, want %q twice", c.told, want)
		}
		end1()
		c.check(2, 4) // in the order of their coming
		release()
		synctest.Wait()
		c.check(2, 3, 4)
		end2()
		end3()
		other()
		c.wg.Wait()
		if len(c.places.used)+len(c.places.waiting) > 0 {
			t.Errorf("places %+v are still taken", c.places)
		}
	})
}

// TestAdoptedJobsMayBeTooMany: then nobody gets a place before so many have left.
func TestAdoptedJobsMayBeTooMany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &crowd{t: t, places: newPlaces(1)}
		first, second := c.places.seize(7), c.places.seize(7)
		end, _ := c.add(t.Context(), 1, 7, nil)
		first()
		synctest.Wait()
		c.check()
		second()
		synctest.Wait()
		c.check(1)
		end()
		c.wg.Wait()
	})
}

// TestWaitingJobKeepsOthersAwayForAMoment: GitLab would hand out the next one of the
// same project; but other projects must not wait for its end.
func TestWaitingJobKeepsOthersAwayForAMoment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &crowd{t: t, places: newPlaces(1)}
		end1, _ := c.add(t.Context(), 1, 7, nil)
		if err := c.places.room(); err != nil {
			t.Errorf("room: %v, want room: nobody waits", err)
		}
		end2, _ := c.add(t.Context(), 2, 7, nil)
		if err := c.places.room(); err == nil || err.Error() != "a job waits: project group/p7 has 1 of at most 1 jobs running on this runner" {
			t.Errorf("room: %v", err)
		}
		time.Sleep(placePatience)
		if err := c.places.room(); err != nil {
			t.Errorf("room: %v, want room: the job has waited long enough", err)
		}
		end3, _ := c.add(t.Context(), 3, 7, nil)
		if c.places.room() == nil {
			t.Error("there is room although another job has begun to wait")
		}
		end1()
		end2()
		if err := c.places.room(); err != nil {
			t.Errorf("room: %v, want room: nobody waits", err)
		}
		end3()
		c.wg.Wait()
	})
}

func TestWaitForAPlaceEndsEarly(t *testing.T) {
	over := errors.New("over")
	for name, c := range map[string]struct {
		end  func(context.CancelCauseFunc, chan job.Signal)
		want func(error) bool
	}{
		"canceled": {func(_ context.CancelCauseFunc, s chan job.Signal) { s <- job.CancelGracefully }, func(err error) bool {
			var failure *job.Failure
			return errors.As(err, &failure) && failure.Reason == job.JobCanceled
		}},
		"ended": {func(end context.CancelCauseFunc, _ chan job.Signal) { end(over) }, func(err error) bool { return errors.Is(err, over) }},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				crowd := &crowd{t: t, places: newPlaces(1)}
				ctx, cancel := context.WithCancelCause(t.Context())
				defer cancel(nil)
				signals := make(chan job.Signal, 1)
				end1, _ := crowd.add(t.Context(), 1, 7, nil)
				_, result := crowd.add(ctx, 2, 7, signals)
				c.end(cancel, signals)
				if err := <-result; !c.want(err) {
					t.Errorf("take: %v", err)
				}
				end1()
				crowd.wg.Wait()
				if len(crowd.places.used)+len(crowd.places.waiting) > 0 {
					t.Errorf("places %+v are still taken", crowd.places)
				}
			})
		})
	}
}
