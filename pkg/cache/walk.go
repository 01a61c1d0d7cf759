package cache

import (
	"context"
	"iter"
	"maps"
	"slices"
	"time"

	"github.com/runnerd/runnerd/pkg/cache/store"
)

// A stored key is all objects of one place.
type storedKey struct {
	place
	folder folder
	head   *store.Object // nil: there is none
	used   *store.Object
	layers map[string]*storedLayer // by id
}

// A storedLayer is the segments of a layer that are in the store.
type storedLayer struct {
	names  []string
	bytes  int64
	newest time.Time
}

// walk lists the keys whose names begin with prefix, in the order of names. It
// ends after the first error. What this package has not made is passed over.
func (c *Cache) walk(ctx context.Context, prefix string) iter.Seq2[*storedKey, error] {
	return func(yield func(*storedKey, error) bool) {
		var key *storedKey
		for object, err := range c.bucket.List(ctx, prefix) {
			if err != nil {
				yield(nil, err)
				return
			}
			name, ok := c.parse(object.Name)
			if !ok {
				continue
			}
			if key == nil || key.place != name.place {
				if key != nil && !yield(key, nil) {
					return
				}
				key = &storedKey{place: name.place, folder: c.folder(name.place), layers: make(map[string]*storedLayer)}
			}
			key.add(name, object)
		}
		if key != nil {
			yield(key, nil)
		}
	}
}

func (k *storedKey) add(name parsedName, object store.Object) {
	switch name.object {
	case headObject:
		k.head = &object
		return
	case usedObject:
		k.used = &object
		return
	}
	layer := k.layers[name.layer]
	if layer == nil {
		layer = &storedLayer{}
		k.layers[name.layer] = layer
	}
	layer.names = append(layer.names, object.Name)
	layer.bytes += object.Bytes
	if object.Modified.After(layer.newest) {
		layer.newest = object.Modified
	}
}

// bytes is the size of everything.
func (k *storedKey) bytes() int64 {
	var n int64
	for _, o := range []*store.Object{k.head, k.used} {
		if o != nil {
			n += o.Bytes
		}
	}
	for _, l := range k.layers {
		n += l.bytes
	}
	return n
}

// objects is how many there are.
func (k *storedKey) objects() int {
	n := 0
	for _, o := range []*store.Object{k.head, k.used} {
		if o != nil {
			n++
		}
	}
	for _, l := range k.layers {
		n += len(l.names)
	}
	return n
}

// lastUsed is when a job has last saved or restored the cache, by the store's
// clock. Without both it is when something was last uploaded.
func (k *storedKey) lastUsed() time.Time {
	var last time.Time
	later := func(t time.Time) {
		if t.After(last) {
			last = t
		}
	}
	for _, o := range []*store.Object{k.head, k.used} {
		if o != nil {
			later(o.Modified)
		}
	}
	if last.IsZero() {
		for _, l := range k.layers {
			later(l.newest)
		}
	}
	return last
}

// ids are those of the layers, in order.
func (k *storedKey) ids() []string { return slices.Sorted(maps.Keys(k.layers)) }

// complete reports whether all that h names is there.
func (k *storedKey) complete(h *Head) bool {
	has := func(l *Layer) bool {
		stored := k.layers[l.ID]
		return stored != nil && len(stored.names) >= len(l.Segments)
	}
	return has(&h.Base) && (h.Delta == nil || has(h.Delta))
}
