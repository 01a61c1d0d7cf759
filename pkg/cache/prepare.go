package cache

import (
	"context"
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/runnerd/runnerd/pkg/job"
)

// Prepare looks j's caches up and puts into plan what the pod needs to restore
// and to save them, or why it cannot. The plan's Placement says in which tier
// they are. It takes no longer than Config.Lookup, whatever the store does.
//
// The Session has to be closed, whether the plan is used or not.
func (c *Cache) Prepare(ctx context.Context, j *job.Job, plan *job.Plan) *Session {
	began := time.Now()
	s := newSession(ctx, c, j, plan)
	ctx, cancel := context.WithTimeout(ctx, c.Lookup)
	defer cancel()
	var looking sync.WaitGroup
	for i := range s.entries {
		looking.Go(func() { s.prepare(ctx, i, &plan.Helper.Caches[i], plan.Caches[i].Keys) })
	}
	looking.Wait()
	s.watchCredentials(ctx, plan)
	if len(s.entries) > 0 {
		c.meter.took(opLookup, time.Since(began))
	}
	return s
}

// prepare fills in one entry of the plan.
func (s *Session) prepare(ctx context.Context, i int, p *job.CachePlan, keys []job.CacheKey) {
	x := s.entries[i]
	candidates := s.cache.candidates(s.job, s.tier, keys)
	switch {
	case i >= s.cache.MaxPerJob:
		p.Note = fmt.Sprintf("a job may have %d caches on this runner", s.cache.MaxPerJob)
		return
	case len(candidates) == 0, s.job.ProjectID <= 0:
		p.Note = "GitLab has not said what it belongs to"
		return
	}
	x.own = candidates[0]
	// A store that does not answer now may be back when the job ends, and URLs are
	// signed without it: so before the time is up.
	if p.Save {
		s.prepareSave(ctx, x, p)
	}
	if p.Restore {
		s.prepareRestore(ctx, x, p, candidates)
	}
}

func (s *Session) prepareRestore(ctx context.Context, x *entry, p *job.CachePlan, candidates []candidate) {
	f := s.cache.find(ctx, s.log, candidates)
	p.Lookups = f.lookups
	if f.err != nil && p.Note == "" {
		p.Note = explain(f.err)
	}
	if f.head == nil {
		return
	}
	hit, err := s.cache.hit(ctx, f)
	if err != nil {
		s.log.Warn("cache not signed", zap.String("cache", string(s.cache.folder(f.at.place))), zap.Error(err))
		s.cache.meter.failed(opLookup, codeOf(err))
		last := &p.Lookups[len(p.Lookups)-1]
		last.Result, last.Detail = s.cache.result(err)
		return
	}
	p.Hit, x.hit = hit, &f
	s.noteUse(f.at.place)
}

func (s *Session) prepareSave(ctx context.Context, x *entry, p *job.CachePlan) {
	if x.own.refused != "" {
		p.Note = x.own.refused
		return
	}
	// All of a job's URLs have to fit into its plan.
	upload, err := s.cache.upload(ctx, x.own.place, p.MaxBytes, maxSegments/len(s.entries), s.timeout)
	if err != nil {
		s.log.Warn("no place for a cache signed", zap.String("cache", string(s.cache.folder(x.own.place))), zap.Error(err))
		s.cache.meter.failed(opSave, codeOf(err))
		p.Note = explain(err)
		return
	}
	p.Upload, x.upload = upload, upload
}

// watchCredentials sees to it that somebody learns of credentials that end
// before the job's URLs do, and their URLs with them.
func (s *Session) watchCredentials(ctx context.Context, plan *job.Plan) {
	signed := false
	for _, x := range s.entries {
		signed = signed || x.hit != nil || x.upload != nil
	}
	if !signed {
		return
	}
	// They have been renewed for the URLs, if they can be.
	end, ok := s.cache.bucket.CredentialsExpire(ctx)
	if !ok {
		return
	}
	rest := end.Sub(s.cache.now())
	if rest < s.timeout {
		s.credentialsEnd = end
		s.log.Warn("the store's credentials end before the job may: what it saves later is lost",
			zap.Duration("rest", rest), zap.Duration("job_timeout", s.timeout))
	}
	if rest >= s.cache.restoreLife() {
		return
	}
	for i, x := range s.entries {
		if lookups := plan.Helper.Caches[i].Lookups; x.hit != nil {
			lookups[len(lookups)-1].Detail = fmt.Sprintf("to be restored within %s, while the runner's credentials are good", rest.Round(time.Second))
		}
	}
}
