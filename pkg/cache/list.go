package cache

import (
	"context"
	"errors"
	"iter"
	"strings"
	"time"

	"github.com/runnerd/runnerd/pkg/cache/store"
)

// A Filter chooses caches. The zero Filter takes all of them.
type Filter struct {
	Project   int64         // 0: all
	Key       string        // a part of the key, or with * all of it; "" takes also what has no key
	OlderThan time.Duration // since the last use
}

// An Entry is what the store has of one key.
type Entry struct {
	Project int64
	Class   Class
	Hash    string // of the key and its tier, as in names
	Key     string // "" without a head that can be read
	Tier    string // that the cache is kept to; "" for none

	Base, Delta int64 // bytes in the store
	Orphans     int64 // bytes that are no part of the cache: superseded, or not published (yet)
	Bytes       int64 // of everything
	Objects     int   // everything

	Raw      int64 // bytes of the files
	Entries  int   // in the base
	Created  time.Time
	LastUsed time.Time // to the hour for restores
	Job      int64     // that has saved it last
	Ref      string    // of that job

	Problem string // why it is not restored; "" if it is
}

// Entries lists the caches that f takes, in the order of their names. It ends
// after the first error.
func (c *Cache) Entries(ctx context.Context, f Filter) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		now := c.now()
		for key, err := range c.walk(ctx, c.root(f.Project)) {
			if err != nil {
				yield(Entry{}, err)
				return
			}
			if now.Sub(key.lastUsed()) < f.OlderThan {
				continue
			}
			entry, err := c.entry(ctx, key)
			if err != nil {
				yield(Entry{}, err)
				return
			}
			if matches(f.Key, entry.Key) && !yield(entry, nil) {
				return
			}
		}
	}
}

// entry reads the head of a stored key.
func (c *Cache) entry(ctx context.Context, k *storedKey) (Entry, error) {
	e := Entry{
		Project: k.project, Class: k.class, Hash: k.hash,
		Bytes: k.bytes(), Objects: k.objects(), LastUsed: k.lastUsed(),
	}
	for _, l := range k.layers {
		e.Orphans += l.bytes
	}
	head, _, err := c.readHead(ctx, k.place)
	switch {
	case errors.Is(err, store.ErrNotFound):
		e.Problem = "nothing is published"
		return e, nil
	case isDamaged(err):
		e.Problem = err.Error()
		return e, nil
	case err != nil:
		return e, err
	}
	e.Key, e.Tier, e.Created, e.Job, e.Ref = head.Key, head.Tier, head.Created, head.Job, head.Ref
	e.Base, e.Entries, e.Raw = head.Base.Bytes(), head.Base.Entries, head.Base.Raw
	if head.Delta != nil {
		e.Delta = head.Delta.Bytes()
	}
	for _, id := range head.layers() {
		if l := k.layers[id]; l != nil {
			e.Orphans -= l.bytes
		}
	}
	if _, _, err := c.usable(head); err != nil {
		e.Problem = err.Error()
	} else if !k.complete(head) {
		e.Problem = "segments are missing in the store"
	}
	return e, nil
}

// matches reports whether key has pattern in it; with a * in pattern, whether it
// is all of key, each * standing for anything.
func matches(pattern, key string) bool {
	parts := strings.Split(pattern, "*")
	if len(parts) == 1 {
		return strings.Contains(key, pattern)
	}
	first, last := parts[0], parts[len(parts)-1]
	rest, ok := strings.CutPrefix(key, first)
	if !ok {
		return false
	}
	for _, part := range parts[1 : len(parts)-1] {
		if _, rest, ok = strings.Cut(rest, part); !ok {
			return false
		}
	}
	return strings.HasSuffix(rest, last)
}

// A Total is what the store has of one project.
type Total struct {
	Project int64
	Keys    int
	Objects int
	Bytes   int64
}

// Stat adds up what the store has of each project, in the order of names. It
// reads no heads.
func (c *Cache) Stat(ctx context.Context) ([]Total, error) {
	var totals []Total
	for key, err := range c.walk(ctx, c.root(0)) {
		if err != nil {
			return totals, err
		}
		if n := len(totals); n == 0 || totals[n-1].Project != key.project {
			totals = append(totals, Total{Project: key.project})
		}
		t := &totals[len(totals)-1]
		t.Keys++
		t.Objects += key.objects()
		t.Bytes += key.bytes()
	}
	return totals, nil
}
