package cache

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/runnerd/runnerd/pkg/cache/store"
)

// useEvery is how often the use of a cache is noted.
const useEvery = time.Hour

// noteTimeout bounds the writing of what is only worth knowing.
const noteTimeout = 10 * time.Second

// noteUse writes, in the background, that a cache has been used. It is not the
// head that says so: a reader could overwrite what a writer has just published.
func (s *Session) noteUse(p place) {
	f := s.cache.folder(p)
	if !s.cache.useDue(f) {
		return
	}
	s.working.Go(func() {
		ctx, cancel := context.WithTimeout(s.ctx, noteTimeout)
		defer cancel()
		if err := s.cache.writeUse(ctx, f, s.job.ID); err != nil {
			s.log.Warn("use of a cache not noted", zap.String("cache", string(f)), zap.Error(err))
		}
	})
}

// useDue reports whether the use of f is to be noted, and takes it for noted.
func (c *Cache) useDue(f folder) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	if at, ok := c.noted[f]; ok && now.Sub(at) < useEvery {
		return false
	}
	for other, at := range c.noted {
		if now.Sub(at) >= useEvery {
			delete(c.noted, other)
		}
	}
	c.noted[f] = now
	return true
}

// writeUse writes the note. What counts is the store's time of it; the content
// is for people.
func (c *Cache) writeUse(ctx context.Context, f folder, job int64) error {
	data, err := json.Marshal(struct {
		At  time.Time `json:"at"`
		Job int64     `json:"job"`
	}{c.now().UTC(), job})
	if err != nil {
		return err
	}
	_, err = c.bucket.Put(ctx, f.used(), data, store.Condition{})
	return err
}

// markBad notes in the head that f's layers cannot be restored, unless they have
// been replaced meanwhile. Jobs take it for a miss then, and save it as a whole.
func (c *Cache) markBad(ctx context.Context, log *zap.Logger, f found) {
	ctx, cancel := context.WithTimeout(ctx, noteTimeout)
	defer cancel()
	log = log.With(zap.String("cache", string(c.folder(f.at.place))), zap.Strings("layers", f.head.layers()))
	log.Warn("a cache is damaged")
	head, object, err := c.readHead(ctx, f.at.place)
	if err != nil || head.Bad || !slices.Equal(head.layers(), f.head.layers()) {
		return
	}
	head.Bad = true
	data, err := head.encode()
	if err == nil {
		_, err = c.bucket.Put(ctx, c.folder(f.at.place).head(), data, store.IfMatch(object.ETag))
	}
	if err != nil {
		log.Warn("a damaged cache is not marked as such", zap.Error(err))
	}
}
