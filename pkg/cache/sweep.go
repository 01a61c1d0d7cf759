package cache

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/runnerd/runnerd/pkg/cache/store"
)

// orphanAge is how old a layer that no head names has to be before it is taken
// for garbage: older than any job that could still publish it, because URLs
// live for 7 days at most.
const orphanAge = store.MaxLife + day

// SweepOptions say what a sweep takes for garbage. The zero value is right;
// tests choose another Now.
type SweepOptions struct {
	Now       time.Time     // zero: the time of the call
	Grace     time.Duration // how long retired layers are kept; 0 means Config.Grace
	OrphanAge time.Duration // how long layers are kept that no head names; 0 means 8 days
}

// A SweepResult counts what a sweep has seen and deleted.
type SweepResult struct {
	Keys    int   // seen
	Objects int   // deleted
	Bytes   int64 // deleted
}

// Sweep deletes what no cache uses any more: layers that were superseded and
// whose time of grace is over, uploads that were never published, and heads
// that have long been of no use. It goes on after a key that it cannot deal
// with and returns all errors, joined; it stops when the store is gone.
//
// Several daemons may sweep the same caches at the same time.
func (c *Cache) Sweep(ctx context.Context, o SweepOptions) (SweepResult, error) {
	if o.Now.IsZero() {
		o.Now = c.now()
	}
	o.Grace = cmp.Or(o.Grace, c.Grace)
	o.OrphanAge = cmp.Or(o.OrphanAge, orphanAge)
	var result SweepResult
	var failed []error
	for key, err := range c.walk(ctx, c.root(0)) {
		if err == nil {
			result.Keys++
			err = c.sweepKey(ctx, key, o, &result)
		}
		if err != nil {
			failed = append(failed, err)
			// One reason often holds for all keys.
			if hopeless(err) || len(failed) == 10 {
				break
			}
		}
	}
	c.meter.swept(result.Objects, result.Bytes)
	return result, errors.Join(failed...)
}

// sweepKey deletes the garbage of one key. The head is read after the layers
// were listed, so a layer that was published in between is not taken for an
// orphan.
func (c *Cache) sweepKey(ctx context.Context, k *storedKey, o SweepOptions, result *SweepResult) error {
	old := func(t time.Time) bool { return o.Now.Sub(t) > o.OrphanAge }
	head, object, err := c.readHead(ctx, k.place)
	var names []string
	var bytes int64
	switch {
	case errors.Is(err, store.ErrNotFound):
		if k.used != nil && old(k.used.Modified) {
			names = append(names, k.used.Name)
		}
	case isDamaged(err), err == nil && !k.complete(head):
		// As long as it is young, a head may have been published since the listing.
		if k.head == nil || !old(k.head.Modified) || !old(object.Modified) && !object.Modified.IsZero() {
			return nil
		}
		c.Log.Warn("a cache that cannot be used is deleted", zap.String("cache", string(k.folder)), zap.Error(err))
		names = append(names, k.head.Name)
		head = nil
	case err != nil:
		return err
	}
	for _, id := range k.ids() {
		if layer := k.layers[id]; head.garbage(id, layer, o) {
			names = append(names, layer.names...)
			bytes += layer.bytes
		}
	}
	if len(names) == 0 {
		return nil
	}
	if err := c.bucket.Delete(ctx, names...); err != nil {
		return err
	}
	result.Objects += len(names)
	result.Bytes += bytes
	return nil
}

// garbage reports whether nobody needs a layer that is stored beside h, which
// may be nil.
func (h *Head) garbage(id string, l *storedLayer, o SweepOptions) bool {
	if h != nil {
		if slices.Contains(h.layers(), id) {
			return false
		}
		if i := slices.IndexFunc(h.Retired, func(r Retired) bool { return r.ID == id }); i >= 0 {
			return o.Now.Sub(h.Retired[i].At) > o.Grace
		}
	}
	return o.Now.Sub(l.newest) > o.OrphanAge
}
