package poller

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/runnerd/runnerd/pkg/job"
)

// A Source hands out jobs. RequestJob sends one request and repeats nothing;
// lastUpdate is the last value that an offer had, "" while there was none.
//
// An error that carries GitLab's answer has the methods HTTPStatus() int and
// RetryDelay() time.Duration. A *job.DamagedError is a job that nobody can read
// and that somebody has to report. A request whose ctx ends returns soon; it
// may still return a job that was on its way.
type Source interface {
	RequestJob(ctx context.Context, lastUpdate string) (job.Offer, error)
}

// A Handler runs jobs. The poller calls it in a goroutine of its own; the job's
// slot is free again when the call returns.
type Handler interface {
	// Handle brings a job to its end. A job may arrive after polling has been
	// stopped; the handler decides what becomes of it.
	Handle(ctx context.Context, j *job.Job, slot Slot)
	// Damaged reports a job failed that cannot be read.
	Damaged(ctx context.Context, d *job.DamagedError)
}

// Settings come from a runner entry of config.toml.
type Settings struct {
	Limit              int           // running jobs of the entry; 0 means no limit
	RequestConcurrency int           // open requests; 0 means 1
	CheckInterval      time.Duration // between requests when there is nothing to do; 0 means 3 s
	Strict             bool          // strict_check_interval: pause after a job, too
	UnhealthyLimit     int           // 403 answers in a row until the pause; 0 means 3
	UnhealthyInterval  time.Duration // the pause; 0 means 1 h
}

func (s *Settings) setDefaults() {
	if s.RequestConcurrency <= 0 {
		s.RequestConcurrency = 1
	}
	if s.CheckInterval <= 0 {
		s.CheckInterval = defaultCheckInterval
	}
	if s.UnhealthyLimit <= 0 {
		s.UnhealthyLimit = defaultUnhealthyLimit
	}
	if s.UnhealthyInterval <= 0 {
		s.UnhealthyInterval = defaultUnhealthyInterval
	}
}

// Options make a Poller.
type Options struct {
	Source   Source
	Handler  Handler
	Slots    *Slots // of the whole daemon: `concurrent`
	Room     Room   // may be nil
	Settings Settings
	Labels   Labels
	Metrics  *Metrics    // may be nil
	Log      *zap.Logger // may be nil
}

// A Poller takes the jobs of one runner entry.
type Poller struct {
	o     Options
	log   *zap.Logger
	entry *Slots // `limit`
	ids   ids
	meter meter
	room  *room

	mu         sync.Mutex
	lastUpdate string
	patience   time.Duration // see request
}

// New returns a poller. It starts nothing.
func New(o Options) *Poller {
	o.Settings.setDefaults()
	if o.Log == nil {
		o.Log = zap.NewNop()
	}
	p := &Poller{
		o: o, patience: patience, entry: NewSlots(o.Settings.Limit), meter: o.Metrics.meter(o.Labels),
		log: o.Log.With(zap.String("runner", o.Labels.Runner), zap.String("name", o.Labels.RunnerName)),
	}
	p.meter.configured(o.Settings)
	p.room = &room{ask: o.Room, meter: p.meter, log: p.log, jobs: map[int64]struct{}{}}
	return p
}

// SetLimit changes how many jobs of the entry may run; 0 means no limit.
func (p *Poller) SetLimit(limit int) {
	p.entry.SetLimit(limit)
	p.meter.limit(limit)
}

// Adopt takes a slot for a job from before a restart, even when the limits are
// reached. The caller calls release when the job is over.
func (p *Poller) Adopt(projectID int64, slot Slot) (release func()) {
	p.ids.put(projectID, slot)
	p.entry.seize()
	p.o.Slots.seize()
	return sync.OnceFunc(func() {
		p.ids.release(projectID, slot)
		p.o.Slots.release()
		p.entry.release()
	})
}

// Run asks for jobs until ctx ends; then it waits for the requests that may
// still bring a job, and for the handlers. Handlers get jobs as their context.
func (p *Poller) Run(ctx, jobs context.Context) error {
	var handlers sync.WaitGroup
	defer handlers.Wait()
	defer p.room.close()
	plan := newSchedule(p.o.Settings)
	outcomes := make(chan outcome)
	open := 0
	pause := time.NewTimer(0)
	defer pause.Stop()
	due := false
	var quiet time.Time // GitLab wants no request before, whatever it says to another
	for {
		for due && open < plan.limit() && ctx.Err() == nil {
			open++
			go func() { outcomes <- p.ask(ctx, jobs, &handlers) }()
		}
		stop := ctx.Done()
		if ctx.Err() != nil {
			if open == 0 {
				return nil
			}
			stop = nil
		}
		select {
		case o := <-outcomes:
			open--
			if errors.Is(o.err, errNotAsked) {
				continue
			}
			if at := time.Now().Add(told(o.err)); at.After(quiet) {
				quiet = at
			}
			wait := max(plan.next(o), time.Until(quiet))
			p.report(plan, o, wait)
			due = wait == 0
			if due && open >= plan.limit() {
				p.meter.crowded()
			}
			pause.Reset(wait)
		case <-pause.C:
			due = true
		case <-stop:
		}
	}
}

// report tells the operator how a request went.
func (p *Poller) report(plan *schedule, o outcome, wait time.Duration) {
	p.meter.asked(o, plan)
	switch status := o.status(); {
	case o.err == nil || o.hasJob() || errors.Is(o.err, context.Canceled):
	case status == http.StatusForbidden && wait == plan.s.UnhealthyInterval:
		p.log.Error("GitLab refuses the runner's token; pausing. Was the runner deleted, or its token reset?",
			zap.Error(o.err), zap.Int("refusals", plan.unhealthy), zap.Duration("pause", wait))
	default:
		p.log.Warn("no answer to the request for a job; will ask again", zap.Error(o.err), zap.Duration("wait", wait))
	}
}
