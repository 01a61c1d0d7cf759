package cache

import (
	"context"

	"github.com/runnerd/runnerd/pkg/job"
)

// Resume returns the session of a job that another process has prepared, from what
// Prepare has put into plan. The pod's events are to come all over again: what was
// published already is not published twice. What the pod has uploaded and nobody
// publishes is left to the sweep, because the process before may have published it.
func (c *Cache) Resume(ctx context.Context, j *job.Job, plan *job.Plan) *Session {
	s := newSession(ctx, c, j, plan)
	for i, x := range s.entries {
		p := &plan.Helper.Caches[i]
		candidates := c.candidates(j, s.tier, plan.Caches[i].Keys)
		if len(candidates) == 0 {
			continue
		}
		x.own, x.upload, x.kept = candidates[0], p.Upload, true
		for _, at := range candidates {
			if p.Hit != nil && at.key == p.Hit.Key && at.fallback == p.Hit.Fallback {
				x.hit = &found{head: headOfHit(p.Hit), at: at}
				break
			}
		}
	}
	return s
}

// headOfHit is as much of a head as a plan tells of it.
func headOfHit(hit *job.CacheHit) *Head {
	h := &Head{Base: Layer{ID: hit.Base.ID}}
	if hit.Delta != nil {
		h.Delta = &Layer{ID: hit.Delta.ID}
	}
	return h
}
