package cache

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/runnerd/runnerd/pkg/cache/store"
	"github.com/runnerd/runnerd/pkg/job"
)

// publishTimeout bounds one publication, whoever waits for it.
const publishTimeout = time.Minute

// publishTries is how often a head is written that others write as well.
const publishTries = 5

// publish makes a cache of what an entry has uploaded, or says why not.
func (s *Session) publish(ctx context.Context, x *entry, saved job.CacheSaved) {
	began := time.Now()
	ctx, cancel := context.WithTimeout(ctx, publishTimeout)
	defer cancel()
	r := report{
		at: x.own, upload: x.upload, hit: x.hit, saved: saved, segments: x.segments, excess: x.excess,
		job: s.job.ID, ref: strings.ToValidUTF8(s.job.Git.Ref, "?"),
	}
	f := s.cache.folder(x.own.place)
	log := s.log.With(zap.String("cache", string(f)), zap.String("layer", x.upload.Layer))
	layer, removed, err := s.cache.publish(ctx, r)
	if err != nil {
		x.kept = errors.Is(err, errDoubtful)
		s.cache.meter.refused(codeOf(err))
		log.Warn("cache not published", zap.Error(err))
		s.mu.Lock()
		defer s.mu.Unlock()
		s.warn(x, explain(err))
		return
	}
	x.kept = true
	s.cache.meter.saved(saved, layer.Bytes())
	s.cache.meter.took(opPublish, time.Since(began))
	log.Info("cache published", zap.String("kind", string(saved.Result)), zap.Int64("bytes", layer.Bytes()), zap.Int("segments", len(layer.Segments)))
	if len(removed) > 0 {
		// The job's end need not wait for this.
		s.working.Go(func() { s.removeRetired(f, removed) })
	}
}

// removeRetired deletes layers that the head has named as retired long enough.
func (s *Session) removeRetired(f folder, ids []string) {
	ctx, cancel := context.WithTimeout(s.ctx, publishTimeout)
	defer cancel()
	if err := s.cache.removeLayers(ctx, f, ids...); err != nil {
		s.log.Warn("old layers are left to the sweep", zap.String("cache", string(f)), zap.Strings("layers", ids), zap.Error(err))
	}
}

// errDoubtful is a head of which nobody knows whether it was written: what it
// names must be left alone.
var errDoubtful = errors.New("the head may have been written")

// publish writes the head that makes a report's layer part of the cache. It
// returns the layer, and the retired ones that nobody needs any more.
func (c *Cache) publish(ctx context.Context, r report) (Layer, []string, error) {
	layer, err := r.layer()
	if err != nil {
		return layer, nil, err
	}
	first, err := c.verify(ctx, c.folder(r.at.place), layer)
	if err != nil {
		return layer, nil, err
	}
	now := c.now()
	layer.Created = first
	if first.IsZero() || first.After(now) {
		layer.Created = now
	}
	for try := 0; ; try++ {
		last, object, err := c.readHead(ctx, r.at.place)
		unchanged := condition(object, err)
		if err != nil && !errors.Is(err, store.ErrNotFound) && !isDamaged(err) {
			return layer, nil, doubtful(err, try > 0)
		}
		if last.names(layer.ID) {
			return layer, nil, nil // an answer was lost: it has been written, and perhaps superseded
		}
		if try == publishTries {
			return layer, nil, refuse(job.CodeConflict, "too many jobs save it at the same time")
		}
		next, removed, err := c.next(last, r, layer, now)
		if err != nil {
			return layer, nil, err
		}
		data, err := next.encode()
		if err != nil {
			return layer, nil, refuse(job.CodeInternal, "its report makes no head: %v", err)
		}
		_, err = c.bucket.Put(ctx, c.folder(r.at.place).head(), data, unchanged)
		if err == nil {
			return layer, removed, nil
		}
		if !errors.Is(err, store.ErrConflict) {
			refused := errors.Is(err, store.ErrDenied) || errors.Is(err, store.ErrNoBucket)
			return layer, nil, doubtful(err, !refused)
		}
	}
}

func doubtful(err error, doubt bool) error {
	if doubt {
		return fmt.Errorf("%w: %w", errDoubtful, err)
	}
	return err
}

// next is the head after last, which may be nil, with layer in it; removed are
// retired layers that it does not name any more.
func (c *Cache) next(last *Head, r report, layer Layer, now time.Time) (next *Head, removed []string, err error) {
	next = &Head{Version: headVersion, Key: r.at.object, Tier: r.at.tier, Created: now, Job: r.job, Ref: r.ref, Base: layer}
	if r.saved.Result == job.SaveDelta {
		if err := c.takesDelta(last, r.saved.Base); err != nil {
			return nil, nil, err
		}
		next.Base, next.Delta = last.Base, &layer
	}
	if last == nil {
		return next, nil, nil
	}
	for _, old := range last.Retired {
		if now.Sub(old.At) > c.Grace {
			removed = append(removed, old.ID)
			continue
		}
		next.Retired = append(next.Retired, old)
	}
	for _, id := range last.layers() {
		if id != next.Base.ID {
			next.Retired = append(next.Retired, Retired{ID: id, At: now})
		}
	}
	if more := len(next.Retired) - maxRetired; more > 0 {
		next.Retired = next.Retired[more:]
	}
	return next, removed, nil
}

// takesDelta returns nil if a delta against base can become part of last.
func (c *Cache) takesDelta(last *Head, base string) error {
	if last == nil || last.Base.ID != base {
		return refuse(job.CodeConflict, "another job has replaced it meanwhile")
	}
	if _, _, err := c.usable(last); err != nil {
		return refuse(job.CodeConflict, "%v", err)
	}
	return nil
}
