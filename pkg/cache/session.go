package cache

import (
	"context"
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/runnerd/runnerd/pkg/job"
)

// A Session is the caches of one job, from [Cache.Prepare] to Close. Its methods
// are safe for concurrent use.
type Session struct {
	cache   *Cache
	job     *job.Job
	tier    string        // of its caches; "" for none
	timeout time.Duration // of the job
	log     *zap.Logger
	entries []*entry // by position in HelperPlan.Caches

	credentialsEnd time.Time // zero: not before the job

	// ctx is that of the work that Event starts, which has none of its own: it
	// is called by whoever reads the pod's log. It ends with Close.
	ctx     context.Context
	cancel  context.CancelFunc
	working sync.WaitGroup

	mu       sync.Mutex // guards what follows, and the reports of entries
	last     chan struct{}
	closed   bool
	warnings []string
}

// An entry is one cache of a job. The first fields are Prepare's.
type entry struct {
	own    candidate        // where it is saved
	hit    *found           // nil: nothing was restored
	upload *job.CacheUpload // nil: nothing can be saved

	restored bool // reported
	saved    bool
	segments []job.CacheSegment
	excess   bool // more of them were reported than there were URLs
	kept     bool // nothing of the upload is to be removed
}

func newSession(ctx context.Context, c *Cache, j *job.Job, plan *job.Plan) *Session {
	log := c.Log.With(zap.Int64("job", j.ID), zap.Int64("project", j.ProjectID))
	if tier := plan.Placement.CacheTier; tier != "" {
		log = log.With(zap.String("tier", tier))
	}
	s := &Session{cache: c, job: j, tier: plan.Placement.CacheTier, timeout: plan.Timeout, log: log}
	s.ctx, s.cancel = context.WithCancel(context.WithoutCancel(ctx))
	s.last = make(chan struct{})
	close(s.last)
	for range min(len(plan.Helper.Caches), len(plan.Caches)) {
		s.entries = append(s.entries, &entry{})
	}
	return s
}

// Event takes what the pod says of a cache. It does not block; what a save has
// uploaded is published in the background. The pod is not trusted.
func (s *Session) Event(e job.CacheEvent) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || e.Index < 0 || e.Index >= len(s.entries) {
		return
	}
	x := s.entries[e.Index]
	switch {
	case e.Restored != nil:
		s.afterRestore(x, *e.Restored)
	case e.Saved != nil:
		s.afterSave(x, *e.Saved)
	default:
		x.add(e.Segments)
	}
}

// add takes the next segments of a report, up to what can have been uploaded.
func (x *entry) add(segments []job.CacheSegment) {
	switch {
	case x.upload == nil || x.saved:
	case len(x.segments)+len(segments) > len(x.upload.URLs):
		x.excess = true
	default:
		x.segments = append(x.segments, segments...)
	}
}

func (s *Session) afterRestore(x *entry, e job.CacheRestored) {
	if x.restored {
		return
	}
	x.restored = true
	s.cache.meter.restored(e)
	if e.Result == job.CacheBroken && e.Code == job.CodeCorrupt && x.hit != nil && !x.hit.at.foreign {
		s.enqueue(func(ctx context.Context) { s.cache.markBad(ctx, s.log, *x.hit) })
	}
}

func (s *Session) afterSave(x *entry, e job.CacheSaved) {
	if x.saved || x.upload == nil {
		return
	}
	x.saved = true
	switch e.Result {
	case job.SaveFull, job.SaveDelta:
		s.enqueue(func(ctx context.Context) { s.publish(ctx, x, e) })
		return
	case job.SaveUnchanged, job.SaveEmpty, job.SaveSkipped:
		x.kept = true // nothing was sent
	case job.SaveFailed:
		if e.Code == job.CodeExpired && !s.credentialsEnd.IsZero() {
			s.warn(x, fmt.Sprintf("the runner's credentials for the store ended at %s", s.credentialsEnd.UTC().Format(time.TimeOnly+" MST")))
		}
	}
	s.cache.meter.saved(e, 0)
}

// warn keeps a line for the job's log. The caller holds mu.
func (s *Session) warn(x *entry, why string) {
	s.warnings = append(s.warnings, fmt.Sprintf("Cache %s is not saved: %s", x.own.key, why))
}

// enqueue starts work that begins when all work before it has ended: of two
// saves of one key the later one wins. The caller holds mu.
func (s *Session) enqueue(work func(context.Context)) {
	before, done := s.last, make(chan struct{})
	s.last = done
	s.working.Go(func() {
		defer close(done)
		<-before
		work(s.ctx)
	})
}

// Finish waits until all that was saved is published or refused, or ctx ends.
// It returns what the job's log should say about it.
func (s *Session) Finish(ctx context.Context) []string {
	s.mu.Lock()
	last := s.last
	s.mu.Unlock()
	late := false
	select {
	case <-last:
	case <-ctx.Done():
		late = true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	warnings := s.warnings
	s.warnings = nil
	if late {
		warnings = append(warnings, "Caches are not published yet: the store does not answer in time")
	}
	return warnings
}

// Close waits for the session's work, at most until ctx ends, and removes what
// the pod has uploaded and was not published. The pod should be gone by then.
func (s *Session) Close(ctx context.Context) {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	stop := context.AfterFunc(ctx, s.cancel)
	s.working.Wait()
	stop()
	s.cancel()
	for _, x := range s.entries {
		if x.upload == nil || x.kept {
			continue
		}
		f := s.cache.folder(x.own.place)
		if err := s.cache.removeLayers(ctx, f, x.upload.Layer); err != nil {
			s.log.Warn("an upload is left to the sweep", zap.String("cache", string(f)), zap.String("layer", x.upload.Layer), zap.Error(err))
			if hopeless(err) {
				return
			}
		}
	}
}
