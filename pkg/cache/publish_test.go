package cache

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/runnerd/runnerd/pkg/cache/store"
	"github.com/runnerd/runnerd/pkg/job"
)

// TestForgedReports sends reports as a hostile pod may: what it did not upload,
// or was not allowed to, never becomes a cache.
func TestForgedReports(t *testing.T) {
	w := newWorld(t)
	full := job.CacheSaved{Result: job.SaveFull, Raw: 10, Entries: 1}
	tests := []struct {
		name string
		what func(r *run) (job.CacheSaved, []job.CacheSegment)
		want string // in the warning
	}{
		{"no segments", func(*run) (job.CacheSaved, []job.CacheSegment) { return full, nil }, "no segments"},
		{"nothing uploaded", func(*run) (job.CacheSaved, []job.CacheSegment) {
			return full, []job.CacheSegment{segmentOf("x")}
		}, "segment 0 is not in the store"},
		{"the last one is missing", func(r *run) (job.CacheSaved, []job.CacheSegment) {
			return full, append(r.send(0, "a", "b"), segmentOf("c"))
		}, "segment 2 is not in the store"},
		{"the first one is missing", func(r *run) (job.CacheSaved, []job.CacheSegment) {
			u := r.entry(0).Upload
			r.w.put(u.URLs[1], u.Headers, "b")
			return full, []job.CacheSegment{segmentOf("a"), segmentOf("b")}
		}, "segment 0 is not in the store"},
		{"another size", func(r *run) (job.CacheSaved, []job.CacheSegment) {
			list := r.send(0, "abc")
			list[0].Bytes = 2
			return full, list
		}, "has 3 bytes in the store, not 2"},
		{"more than reported", func(r *run) (job.CacheSaved, []job.CacheSegment) {
			return full, r.send(0, "a", "b", "c")[:2]
		}, "more was uploaded"},
		{"too many segments", func(r *run) (job.CacheSaved, []job.CacheSegment) {
			return full, slices.Repeat(r.send(0, "a"), len(r.entry(0).Upload.URLs)+1)
		}, "more segments than"},
		{"too large", func(r *run) (job.CacheSaved, []job.CacheSegment) {
			list := r.send(0, "a", "b")
			list[0].Bytes, list[1].Bytes = 40<<20, 40<<20
			return full, list
		}, "83886080 bytes; 67108864 are possible"},
		{"a huge segment", func(r *run) (job.CacheSaved, []job.CacheSegment) {
			list := r.send(0, "a")
			list[0].Bytes = maxSegmentSize + 1
			return full, list
		}, "makes no sense"},
		{"a sum that overflows", func(r *run) (job.CacheSaved, []job.CacheSegment) {
			list := r.send(0, "a", "b")
			list[0].Bytes = -1 << 62
			return full, list
		}, "makes no sense"},
		{"no SHA-256", func(r *run) (job.CacheSaved, []job.CacheSegment) {
			list := r.send(0, "a")
			list[0].SHA256 = "../" + list[0].SHA256[3:]
			return full, list
		}, "makes no sense"},
		{"negative files", func(r *run) (job.CacheSaved, []job.CacheSegment) {
			return job.CacheSaved{Result: job.SaveFull, Raw: -1}, r.send(0, "a")
		}, "makes no head"},
		{"a delta against nothing", func(r *run) (job.CacheSaved, []job.CacheSegment) {
			return job.CacheSaved{Result: job.SaveDelta, Base: idA}, r.send(0, "a")
		}, "has not restored"},
		{"a base with whiteouts", func(r *run) (job.CacheSaved, []job.CacheSegment) {
			return job.CacheSaved{Result: job.SaveFull, Whiteouts: -1, Entries: -4}, r.send(0, "a")
		}, "makes no head"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := w.start(w.Cache, []string{tt.name})
			saved, segments := tt.what(r)
			r.report(0, saved, segments)
			warnings := r.end()
			if len(warnings) != 1 || !strings.Contains(warnings[0], tt.want) || !strings.Contains(warnings[0], tt.name) {
				t.Errorf("warnings %q, want one about %q", warnings, tt.want)
			}
			if names := w.names(string(w.shared(tt.name))); len(names) > 0 {
				t.Errorf("left: %q", names)
			}
		})
	}
}

// TestStrangeEvents sends events that no pod of ours sends.
func TestStrangeEvents(t *testing.T) {
	w := newWorld(t)
	key := job.CacheRequest{Keys: []job.CacheKey{{Name: "k", Object: "k", Text: "k"}}}
	r := w.prepare(w.Cache, &job.Job{ID: 1, ProjectID: 7}, &job.Plan{
		Timeout: time.Hour, Caches: []job.CacheRequest{key, key},
		Helper: job.HelperPlan{Caches: []job.CachePlan{{Key: "k", Restore: true}, {Key: "k", Save: true}}},
	})
	for _, i := range []int{-1, 2, 1 << 40} {
		r.Event(job.CacheEvent{Index: i, Saved: &job.CacheSaved{Result: job.SaveFull}})
		r.Event(job.CacheEvent{Index: i, Segments: make([]job.CacheSegment, 9)})
	}
	r.Event(job.CacheEvent{})
	r.Event(job.CacheEvent{Restored: &job.CacheRestored{Result: "great"}})
	r.Event(job.CacheEvent{Restored: &job.CacheRestored{Result: job.CacheBroken, Code: job.CodeCorrupt}})
	r.report(0, job.CacheSaved{Result: job.SaveFull}, []job.CacheSegment{segmentOf("pull only")})
	r.full(1, "x")
	r.report(1, job.CacheSaved{Result: job.SaveFull}, []job.CacheSegment{segmentOf("once more")})
	r.fine()
	if got := w.stored("k"); got != "x" {
		t.Errorf("stored %q", got)
	}
}

// TestUploadURLs shows what a URL of an upload is good for: one write of one
// object.
func TestUploadURLs(t *testing.T) {
	w := newWorld(t)
	r := w.start(w.Cache, []string{"k"})
	r.full(0, "x")
	r.fine()
	u := r.entry(0).Upload
	if status := w.put(u.URLs[0], u.Headers, "y"); status != http.StatusPreconditionFailed {
		t.Errorf("a second PUT: %d", status)
	}
	if status := w.put(u.URLs[0], nil, "y"); status < 400 {
		t.Errorf("a PUT without the condition: %d", status)
	}
	head := w.shared("k").head()
	if status := w.put(strings.Replace(u.URLs[0], w.shared("k").segment(u.Layer, 0), head, 1), u.Headers, "y"); status != http.StatusForbidden {
		t.Errorf("a PUT of the head: %d", status)
	}
	if got := w.stored("k"); got != "x" {
		t.Errorf("stored %q", got)
	}
}

func TestReplacedBase(t *testing.T) {
	w := newWorld(t)
	w.save(w.Cache, "k", "old")
	slow := w.start(w.Cache, []string{"k"})
	w.save(w.daemon(), "k", "new")
	slow.delta(0, "d")
	warnings := slow.end()
	if len(warnings) != 1 || !strings.Contains(warnings[0], "another job has replaced it") {
		t.Errorf("warnings %q", warnings)
	}
	if got := w.stored("k"); got != "new" {
		t.Errorf("stored %q", got)
	}
	if w.has("k", slow.entry(0).Upload.Layer) {
		t.Error("the refused delta is still there")
	}

	// Between the check and the write.
	gone := w.start(w.Cache, []string{"k"})
	if err := w.store.Delete(t.Context(), w.shared("k").head()); err != nil {
		t.Fatal(err)
	}
	gone.delta(0, "d")
	if warnings := gone.end(); len(warnings) != 1 {
		t.Errorf("warnings %q", warnings)
	}
	if len(w.names(w.shared("k").head())) > 0 {
		t.Error("a delta has made a head without a base")
	}
}

// TestPublishers lets many jobs save one key at the same time: one of them wins,
// and what it has saved is whole.
func TestPublishers(t *testing.T) {
	w := newWorld(t)
	const n = 8
	runs := make([]*run, n)
	for i := range runs {
		c := w.Cache
		if i%2 == 1 {
			c = w.daemon()
		}
		runs[i] = w.start(c, []string{"k"})
	}
	var publishing sync.WaitGroup
	warnings := make([][]string, n)
	for i, r := range runs {
		segments := r.send(0, fmt.Sprintf("%d-", i), fmt.Sprintf("%d", i))
		publishing.Go(func() {
			r.report(0, job.CacheSaved{Result: job.SaveFull}, segments)
			warnings[i] = r.Finish(t.Context())
			r.Close(t.Context())
		})
	}
	publishing.Wait()
	got := w.stored("k")
	if a, b, _ := strings.Cut(got, "-"); a != b || a == "" {
		t.Errorf("stored %q", got)
	}
	h := w.headOf("k")
	named := append(h.layers(), layersOf(h.Retired)...)
	for i, r := range runs {
		layer := r.entry(0).Upload.Layer
		published := slices.Contains(named, layer)
		if published != (len(warnings[i]) == 0) || published != w.has("k", layer) {
			t.Errorf("layer %d: in the head's history %t, stored %t, warnings %q", i, published, w.has("k", layer), warnings[i])
		}
		if len(warnings[i]) > 0 && !strings.Contains(warnings[i][0], "too many jobs save it") {
			t.Errorf("warnings %q", warnings[i])
		}
	}
}

func layersOf(retired []Retired) []string {
	var ids []string
	for _, r := range retired {
		ids = append(ids, r.ID)
	}
	return ids
}

// A rival is a bucket in which something happens right before a head is written.
type rival struct {
	*store.Bucket
	before func(n int) // counts the writes of heads
	after  func(n int, err error) error
	n      int
}

func (r *rival) Put(ctx context.Context, name string, data []byte, cond store.Condition) (store.Object, error) {
	if !strings.HasSuffix(name, "/"+headObject) {
		return r.Bucket.Put(ctx, name, data, cond)
	}
	r.n++
	if r.before != nil {
		r.before(r.n)
	}
	o, err := r.Bucket.Put(ctx, name, data, cond)
	if r.after != nil {
		err = r.after(r.n, err)
	}
	return o, err
}

func (w *world) rivalled(r *rival) *Cache {
	w.t.Helper()
	r.Bucket = w.store
	c, err := New(r, w.Config)
	if err != nil {
		w.t.Fatal(err)
	}
	return c
}

func TestConflicts(t *testing.T) {
	w := newWorld(t)
	first := w.save(w.Cache, "k", "base")

	t.Run("a full save is repeated on the new head", func(t *testing.T) {
		var other *run
		c := w.rivalled(&rival{before: func(n int) {
			if n == 1 {
				other = w.save(w.Cache, "k", "other")
			}
		}})
		r := w.save(c, "k", "mine")
		h := w.headOf("k")
		if w.stored("k") != "mine" || !slices.Equal(layersOf(h.Retired), []string{first.entry(0).Upload.Layer, other.entry(0).Upload.Layer}) {
			t.Errorf("%q after %+v", w.stored("k"), h)
		}
		first = r
	})
	t.Run("a delta is refused when the base has gone", func(t *testing.T) {
		c := w.rivalled(&rival{before: func(n int) {
			if n == 1 {
				w.save(w.Cache, "k", "other")
			}
		}})
		r := w.start(c, []string{"k"})
		r.delta(0, "d")
		if warnings := r.end(); len(warnings) != 1 || !strings.Contains(warnings[0], "replaced") {
			t.Errorf("warnings %q", warnings)
		}
		if got := w.stored("k"); got != "other" {
			t.Errorf("stored %q", got)
		}
	})
	t.Run("it gives up", func(t *testing.T) {
		c := w.rivalled(&rival{before: func(n int) {
			w.writeHead("k", func(h *Head) { h.Job = int64(n) })
		}})
		r := w.start(c, []string{"k"})
		r.full(0, "mine")
		if warnings := r.end(); len(warnings) != 1 || !strings.Contains(warnings[0], "too many jobs") {
			t.Errorf("warnings %q", warnings)
		}
		if got := w.stored("k"); got != "other" || w.has("k", r.entry(0).Upload.Layer) {
			t.Errorf("stored %q, and the upload: %t", got, w.has("k", r.entry(0).Upload.Layer))
		}
	})
	t.Run("an answer is lost, and the repetition conflicts", func(t *testing.T) {
		c := w.rivalled(&rival{after: func(n int, err error) error {
			if n == 1 && err == nil {
				return store.ErrConflict
			}
			return err
		}})
		r := w.start(c, []string{"k"})
		r.full(0, "mine")
		r.fine()
		if got := w.stored("k"); got != "mine" {
			t.Errorf("stored %q", got)
		}
	})
	t.Run("an answer is lost, and another job is faster", func(t *testing.T) {
		c := w.rivalled(&rival{after: func(n int, err error) error {
			if n == 1 && err == nil {
				w.save(w.Cache, "k", "faster")
				return store.ErrConflict
			}
			return err
		}})
		r := w.start(c, []string{"k"})
		r.full(0, "mine")
		r.fine()
		if got := w.stored("k"); got != "faster" || !w.has("k", r.entry(0).Upload.Layer) {
			t.Errorf("stored %q; what was superseded, and jobs may read: %t", got, w.has("k", r.entry(0).Upload.Layer))
		}
	})
	t.Run("an answer is lost for good", func(t *testing.T) {
		c := w.rivalled(&rival{after: func(int, error) error { return store.ErrUnreachable }})
		r := w.start(c, []string{"k"})
		r.full(0, "maybe")
		if warnings := r.end(); len(warnings) != 1 {
			t.Errorf("warnings %q", warnings)
		}
		if got := w.stored("k"); got != "maybe" {
			t.Errorf("stored %q: what may have been published was deleted", got)
		}
	})
}

func TestBroken(t *testing.T) {
	w := newWorld(t)
	w.save(w.Cache, "k", "x")
	broken := job.CacheEvent{Restored: &job.CacheRestored{Result: job.CacheBroken, Code: job.CodeCorrupt}}

	r := w.start(w.Cache, []string{"k"})
	late := w.start(w.Cache, []string{"k"})
	r.Event(broken)
	r.fine()
	if h := w.headOf("k"); !h.Bad {
		t.Fatal("the head is not marked")
	}
	next := w.start(w.Cache, []string{"k"})
	if p := next.entry(0); p.Hit != nil || p.Lookups[0].Result != job.CacheMiss || !strings.Contains(p.Lookups[0].Detail, "damaged") {
		t.Errorf("plan %+v", p)
	}
	next.full(0, "y")
	next.fine()

	late.Event(broken) // it was the old one that it could not restore
	late.fine()
	if got := w.stored("k"); got != "y" {
		t.Errorf("stored %q", got)
	}

	network := w.start(w.Cache, []string{"k"})
	network.Event(job.CacheEvent{Restored: &job.CacheRestored{Result: job.CacheBroken, Code: job.CodeNetwork}})
	network.fine()
	if got := w.stored("k"); got != "y" {
		t.Errorf("after a broken connection: stored %q", got)
	}
}
