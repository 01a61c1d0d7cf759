package cache

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
	"unicode/utf8"

	"go.uber.org/zap"

	"github.com/runnerd/runnerd/pkg/cache/store"
	"github.com/runnerd/runnerd/pkg/job"
)

// A candidate is where a cache to restore may be.
type candidate struct {
	place
	tier     string // as in Placement.CacheTier; "" for none
	object   string // what the place is named after
	key      string // the same for people
	fallback bool   // it is not where the entry is saved
	foreign  bool   // of a class that the job may read, but not write
	refused  string // why it is not looked up; "" if it is
}

// candidates are the places to look for an entry of j, in order, all of them
// within tier. The first one is where the entry is saved.
func (c *Cache) candidates(j *job.Job, tier string, keys []job.CacheKey) []candidate {
	var list []candidate
	add := func(class Class, one candidate) {
		one.place, one.tier = placeOf(j.ProjectID, class, tier, one.object), tier
		if !slices.ContainsFunc(list, func(other candidate) bool { return other.place == one.place }) {
			list = append(list, one)
		}
	}
	for i, k := range keys {
		class := classOf(k.Text, j.Git.Protected, c.ForceSeparate)
		one := candidate{object: k.Object, key: k.Name, fallback: i > 0, refused: unusable(k)}
		add(class, one)
		if c.UnprotectedReadsProtected && class == Unprotected && one.refused == "" && !k.User {
			other := counterpart(k.Object)
			add(Protected, candidate{object: other, key: other, fallback: true, foreign: true})
		}
	}
	return list
}

// unusable says why a key names no cache, or returns "".
func unusable(k job.CacheKey) string {
	switch {
	case forbidden(k):
		return "a variable cannot choose a cache of protected refs"
	case k.Object == "":
		return "the key is empty"
	case len(k.Object) > maxKeyBytes:
		return fmt.Sprintf("the key has %d bytes; %d are possible", len(k.Object), maxKeyBytes)
	case !utf8.ValidString(k.Object):
		return "the key is not UTF-8"
	}
	return ""
}

// A found cache is what a lookup has come to.
type found struct {
	lookups []job.CacheLookup
	head    *Head // nil: nothing to restore
	at      candidate
	renew   bool
	err     error // the store's, when it cannot be asked any more
}

// find looks for the first cache that can be restored.
func (c *Cache) find(ctx context.Context, log *zap.Logger, candidates []candidate) found {
	var f found
	for _, at := range candidates {
		lookup := job.CacheLookup{Key: at.key, Result: job.CacheDenied, Detail: at.refused}
		if at.refused != "" {
			f.lookups = append(f.lookups, lookup)
			continue
		}
		head, _, err := c.readHead(ctx, at.place)
		if err == nil {
			head, f.renew, err = c.usable(head)
		}
		lookup.Result, lookup.Detail = c.result(err)
		if errors.Is(err, store.ErrNotFound) && at.tier != "" {
			lookup.Detail = fmt.Sprintf("no cache in tier %q", at.tier)
		}
		if err == nil && at.fallback {
			lookup.Result = job.CacheHitFallback
		}
		f.lookups = append(f.lookups, lookup)
		if err == nil {
			f.head, f.at = head, at
			return f
		}
		c.troubled(log, at, err)
		if hopeless(err) {
			f.err = err
			return f
		}
	}
	return f
}

// errUnfit is a cache that is there and is not restored.
var errUnfit = errors.New("not restored")

// usable returns h if a job that begins now can restore it, and whether it
// needs a new base soon.
func (c *Cache) usable(h *Head) (*Head, bool, error) {
	age := c.now().Sub(h.Base.Created)
	gone, due := expired(age, c.Lifetime)
	switch {
	case h.Bad:
		return nil, false, fmt.Errorf("%w: another job has found it damaged; the next save replaces it", errUnfit)
	case gone:
		return nil, false, fmt.Errorf("%w: it is %s old, and the store deletes it after %s", errUnfit, days(age), days(c.Lifetime))
	}
	return h, due, nil
}

// result says what became of a lookup.
func (c *Cache) result(err error) (job.CacheResult, string) {
	switch {
	case err == nil:
		return job.CacheHitPrimary, ""
	case errors.Is(err, store.ErrNotFound):
		return job.CacheMiss, "no cache"
	case errors.Is(err, errUnfit):
		return job.CacheMiss, err.Error()
	case isDamaged(err):
		return job.CacheBroken, err.Error()
	case errors.Is(err, store.ErrDenied), errors.Is(err, store.ErrNoBucket):
		return job.CacheDenied, explain(err)
	case silent(err):
		return job.CacheMiss, "the store does not answer within " + c.Lookup.String()
	}
	return job.CacheMiss, explain(err)
}

// troubled counts and logs a lookup that says more than that there is nothing.
func (c *Cache) troubled(log *zap.Logger, at candidate, err error) {
	switch {
	case errors.Is(err, store.ErrNotFound), errors.Is(err, errUnfit):
		return
	case isDamaged(err):
		c.meter.failed(opLookup, job.CodeCorrupt)
	default:
		c.meter.failed(opLookup, codeOf(err))
	}
	log.Warn("cache not looked up", zap.String("cache", string(c.folder(at.place))), zap.Error(err))
}

// days writes a long time for people.
func days(d time.Duration) string {
	if d < 2*day {
		return d.Round(time.Minute).String()
	}
	return fmt.Sprintf("%d days", d/day)
}
