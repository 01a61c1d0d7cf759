package lifecycle

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/runnerd/runnerd/pkg/executor"
	"github.com/runnerd/runnerd/pkg/job"
)

// placePatience is how long a job that waits for others of its project keeps the
// runner from asking for more. GitLab cannot be asked to leave a project out: the
// next job may well be of the same one, and would wait, too. But jobs of the others
// must not wait for as long as that one's take.
const placePatience = time.Minute

// places bound how many jobs of one project run at once. Those that wait get a place
// in the order of their coming.
type places struct {
	limit int // of one project; 0: none

	mu      sync.Mutex
	used    map[int64]int          // by project
	waiting map[int64][]*placeWait // by project
}

// A placeWait is a job that waits for a place.
type placeWait struct {
	path  string // of the project
	since time.Time
	given chan struct{} // closed when it has its place
}

func newPlaces(limit int) *places {
	return &places{limit: limit, used: map[int64]int{}, waiting: map[int64][]*placeWait{}}
}

// take waits for a place, and says so by tell. It ends early with the cause of ctx,
// or because of a signal: somebody cancels the job.
func (p *places) take(ctx context.Context, j *job.Job, signals <-chan job.Signal, tell func(string)) (release func(), err error) {
	w, full := p.enter(j)
	release = sync.OnceFunc(func() { p.leave(j.ProjectID) })
	if full == "" {
		return release, nil
	}
	tell("Waiting: " + full)
	select {
	case <-w.given:
		return release, nil
	case <-signals:
		err = job.Failf(job.JobCanceled, "canceled before it started")
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	if p.withdraw(j.ProjectID, w) {
		return nil, err
	}
	release() // it was given in the last moment
	return nil, err
}

// enter takes a place for a job, or queues the job and says what it waits for.
func (p *places) enter(j *job.Job) (w *placeWait, full string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.limit <= 0 || p.used[j.ProjectID] < p.limit {
		p.used[j.ProjectID]++
		return nil, ""
	}
	w = &placeWait{path: j.ProjectPath, since: time.Now(), given: make(chan struct{})}
	p.waiting[j.ProjectID] = append(p.waiting[j.ProjectID], w)
	return w, p.full(j.ProjectID, j.ProjectPath)
}

// full says that a project has no place left. The caller holds mu.
func (p *places) full(project int64, path string) string {
	return fmt.Sprintf("project %s has %d of at most %d jobs running on this runner", path, p.used[project], p.limit)
}

// seize takes a place even when none is left, for a job that runs already.
func (p *places) seize(project int64) (release func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.used[project]++
	return sync.OnceFunc(func() { p.leave(project) })
}

// leave gives a place back, to the job that has waited longest.
func (p *places) leave(project int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.used[project]--
	if queue := p.waiting[project]; len(queue) > 0 && p.used[project] < p.limit {
		p.used[project]++
		close(queue[0].given)
		p.waiting[project] = queue[1:]
	}
	p.tidy(project)
}

// withdraw takes a job out of the queue; false when it has its place already.
func (p *places) withdraw(project int64, w *placeWait) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	i := slices.Index(p.waiting[project], w)
	if i >= 0 {
		p.waiting[project] = slices.Delete(slices.Clone(p.waiting[project]), i, i+1)
	}
	p.tidy(project)
	return i >= 0
}

func (p *places) tidy(project int64) {
	if p.used[project] == 0 {
		delete(p.used, project)
	}
	if len(p.waiting[project]) == 0 {
		delete(p.waiting, project)
	}
}

// room says why no further job should be asked for.
func (p *places) room() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for project, queue := range p.waiting {
		// The last one has waited for the shortest time.
		if last := queue[len(queue)-1]; time.Since(last.since) < placePatience {
			return &executor.FullError{For: executor.FullProject, Text: "a job waits: " + p.full(project, last.path)}
		}
	}
	return nil
}

// Room says why no further job should be asked for, nil when one may. taken are the
// jobs on hand; requests is how many more may come any moment.
func (r *Runner) Room(ctx context.Context, taken []int64, requests int) error {
	if err := r.places.room(); err != nil {
		return err
	}
	if place, ok := r.Executor.(executor.Roomer); ok {
		return place.Room(ctx, taken, requests)
	}
	return nil
}

// place waits until the job's project may run another one.
func (a *attempt) place(ctx context.Context, signals <-chan job.Signal) (release func(), err error) {
	return a.runner.places.take(ctx, a.job, signals, func(why string) {
		a.log.Info("job waits for others of its project", zap.String("why", why))
		a.lines.log.Plain(why)
	})
}
