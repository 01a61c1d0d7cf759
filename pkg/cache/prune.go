package cache

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/runnerd/runnerd/pkg/cache/store"
)

// PruneOptions choose the caches to delete, among those that Project and Key
// take as in a [Filter]: the ones of the age of OlderThan, and then as many more,
// least recently used first, as it takes to get down to MaxSize. With neither of
// the two, all of them.
type PruneOptions struct {
	Project   int64
	Key       string
	OlderThan time.Duration // since the last use
	MaxSize   int64         // bytes that may stay of what Project and Key take; 0 means no limit
	DryRun    bool          // delete nothing

	// Progress is called after each deleted cache; nil for not at all.
	Progress func(done, total int, bytes int64)
}

// A PruneResult says what was deleted, or with DryRun what would have been.
type PruneResult struct {
	Entries []Entry // the caches, least recently used first
	Objects int
	Bytes   int64
}

// errPruneAll keeps an empty command line from deleting everything.
var errPruneAll = errors.New("prune: nothing chosen; give a project, a key, an age or a size")

// Prune deletes caches, heads first: whoever can read a head can read its
// layers. A job that is restoring one of them goes on without it. It stops at
// the first error; the result then holds what was deleted until then.
func (c *Cache) Prune(ctx context.Context, o PruneOptions) (PruneResult, error) {
	var result PruneResult
	if o.Project == 0 && o.Key == "" && o.OlderThan <= 0 && o.MaxSize <= 0 {
		return result, errPruneAll
	}
	victims, err := c.victims(ctx, o)
	if err != nil {
		return result, err
	}
	for i, entry := range victims {
		objects, bytes := entry.Objects, entry.Bytes
		if !o.DryRun {
			if objects, bytes, err = c.pruneKey(ctx, place{entry.Project, entry.Class, entry.Hash}); err != nil {
				return result, err
			}
		}
		result.Entries = append(result.Entries, entry)
		result.Objects += objects
		result.Bytes += bytes
		if o.Progress != nil {
			o.Progress(i+1, len(victims), result.Bytes)
		}
	}
	return result, nil
}

// victims are the caches to delete, least recently used first.
func (c *Cache) victims(ctx context.Context, o PruneOptions) ([]Entry, error) {
	var entries []Entry
	var total int64
	for entry, err := range c.Entries(ctx, Filter{Project: o.Project, Key: o.Key}) {
		if err != nil {
			return nil, err
		}
		entries = append(entries, entry)
		total += entry.Bytes
	}
	slices.SortStableFunc(entries, func(a, b Entry) int { return a.LastUsed.Compare(b.LastUsed) })
	now := c.now()
	for i, entry := range entries {
		old := o.OlderThan > 0 && now.Sub(entry.LastUsed) >= o.OlderThan
		large := o.MaxSize > 0 && total > o.MaxSize
		all := o.OlderThan <= 0 && o.MaxSize <= 0
		if !old && !large && !all {
			return entries[:i], nil
		}
		total -= entry.Bytes
	}
	return entries, nil
}

// pruneKey deletes all of a key but uploads that may still be published.
func (c *Cache) pruneKey(ctx context.Context, p place) (objects int, bytes int64, err error) {
	for key, err := range c.walk(ctx, string(c.folder(p))) {
		if err != nil {
			return objects, bytes, err
		}
		head, _, err := c.readHead(ctx, p)
		if err != nil && !errors.Is(err, store.ErrNotFound) && !isDamaged(err) {
			return objects, bytes, err
		}
		if err := c.bucket.Delete(ctx, key.folder.head()); err != nil {
			return objects, bytes, err
		}
		names, size := key.pruned(head, c.now())
		if err := c.bucket.Delete(ctx, names...); err != nil {
			return objects, bytes, err
		}
		objects, bytes = objects+len(names), bytes+size
	}
	return objects, bytes, nil
}

// pruned are the objects that are deleted together with a head, which may be
// nil; itself included, for the count.
func (k *storedKey) pruned(head *Head, now time.Time) (names []string, bytes int64) {
	for _, o := range []*store.Object{k.head, k.used} {
		if o != nil {
			names = append(names, o.Name)
			bytes += o.Bytes
		}
	}
	for _, id := range k.ids() {
		layer := k.layers[id]
		if head.names(id) || now.Sub(layer.newest) > orphanAge {
			names = append(names, layer.names...)
			bytes += layer.bytes
		}
	}
	return names, bytes
}

// names reports whether a layer is, or was, part of h, which may be nil.
func (h *Head) names(id string) bool {
	if h == nil {
		return false
	}
	return slices.Contains(h.layers(), id) || slices.ContainsFunc(h.Retired, func(r Retired) bool { return r.ID == id })
}
