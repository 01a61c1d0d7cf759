package cache

import (
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/runnerd/runnerd/pkg/job"
)

func TestSaveAndRestore(t *testing.T) {
	w := newWorld(t)
	first := w.start(w.Cache, []string{"go-mod"})
	p := first.entry(0)
	if want := []job.CacheLookup{{Key: "go-mod", Result: job.CacheMiss, Detail: "no cache"}}; !cmp.Equal(p.Lookups, want) || p.Hit != nil || p.Note != "" {
		t.Errorf("lookups %+v, hit %v, note %q", p.Lookups, p.Hit, p.Note)
	}
	if p.Upload == nil || !validLayerID(p.Upload.Layer) || p.Upload.MaxBytes != 64<<20 || len(p.Upload.URLs) != segmentsFor(64<<20) {
		t.Fatalf("upload %+v", p.Upload)
	}
	first.full(0, "aaa", "bb")
	first.fine()

	second := w.start(w.daemon(), []string{"go-mod"}) // another daemon, or the same after a restart
	hit := second.entry(0).Hit
	if hit == nil || hit.Fallback || hit.Renew || hit.Job != first.job.ID || hit.Ref != "main" || hit.Base.Raw != 100 || hit.Base.Entries != 2 || time.Since(hit.Saved) > time.Minute {
		t.Fatalf("hit %+v", hit)
	}
	if want := []job.CacheLookup{{Key: "go-mod", Result: job.CacheHitPrimary}}; !cmp.Equal(second.entry(0).Lookups, want) {
		t.Errorf("lookups %+v", second.entry(0).Lookups)
	}
	if got := second.content(0); got != "aaabb" {
		t.Errorf("restored %q", got)
	}
	second.delta(0, "d1")
	second.fine()
	if got := w.stored("go-mod"); got != "aaabb+d1" {
		t.Errorf("base and delta: %q", got)
	}

	third := w.start(w.Cache, []string{"go-mod"})
	third.delta(0, "d2")
	third.fine()
	if got := w.stored("go-mod"); got != "aaabb+d2" {
		t.Errorf("the next delta: %q", got)
	}
	h := w.headOf("go-mod")
	if len(h.Retired) != 1 || h.Retired[0].ID != second.entry(0).Upload.Layer || h.Job != third.job.ID || h.Delta.Whiteouts != 1 {
		t.Errorf("head %+v", h)
	}

	w.save(w.Cache, "go-mod", "new")
	if got := w.stored("go-mod"); got != "new" {
		t.Errorf("a new base: %q", got)
	}
	if h := w.headOf("go-mod"); len(h.Retired) != 3 || h.Delta != nil {
		t.Errorf("head %+v", h)
	}
	for _, layer := range []string{first.entry(0).Upload.Layer, second.entry(0).Upload.Layer, third.entry(0).Upload.Layer} {
		if !w.has("go-mod", layer) {
			t.Errorf("layer %s is gone, and a job may still read it", layer)
		}
	}
}

// TestRetired shows that the time of grace does not depend on who began it.
func TestRetired(t *testing.T) {
	w := newWorld(t)
	first := w.save(w.Cache, "k", "1")
	second := w.save(w.Cache, "k", "2")
	later := w.daemon()
	later.now = func() time.Time { return time.Now().Add(later.Grace + time.Minute) }
	third := w.save(later, "k", "3")
	if w.has("k", first.entry(0).Upload.Layer) {
		t.Error("what was superseded is still there after its time of grace")
	}
	if !w.has("k", second.entry(0).Upload.Layer) || !w.has("k", third.entry(0).Upload.Layer) {
		t.Error("what has just been superseded, or the cache itself, is gone")
	}
	if h := w.headOf("k"); len(h.Retired) != 1 || h.Retired[0].ID != second.entry(0).Upload.Layer {
		t.Errorf("retired %+v", h.Retired)
	}
}

func TestFallback(t *testing.T) {
	w := newWorld(t)
	w.save(w.Cache, "main", "m")
	r := w.start(w.Cache, []string{"branch", "other", "main"})
	p := r.entry(0)
	want := []job.CacheLookup{
		{Key: "branch", Result: job.CacheMiss, Detail: "no cache"},
		{Key: "other", Result: job.CacheMiss, Detail: "no cache"},
		{Key: "main", Result: job.CacheHitFallback},
	}
	if diff := cmp.Diff(want, p.Lookups); diff != "" {
		t.Errorf("lookups (-want +got):\n%s", diff)
	}
	if p.Hit == nil || !p.Hit.Fallback || p.Hit.Key != "main" || r.content(0) != "m" {
		t.Fatalf("hit %+v", p.Hit)
	}
	r.full(0, "b")
	r.fine()
	if got := w.stored("branch") + w.stored("main"); got != "bm" {
		t.Errorf("afterwards: %q", got)
	}
}

func TestModes(t *testing.T) {
	w := newWorld(t)
	w.save(w.Cache, "k", "x")
	key := job.CacheRequest{Keys: []job.CacheKey{{Name: "k", Object: "k", Text: "k"}}}
	plan := &job.Plan{Timeout: time.Hour, Caches: []job.CacheRequest{key, key, key, key, key, {}}}
	plan.Helper.Caches = []job.CachePlan{
		{Key: "k", Restore: true},
		{Key: "k", Save: true, MaxBytes: 100},
		{Key: "k", Restore: true, Save: true},
		{Key: "k"},
		{Key: "k", Restore: true, Save: true},
		{Key: "k", Restore: true, Save: true},
	}
	r := w.prepare(w.Cache, &job.Job{ID: 1, ProjectID: 7}, plan)
	type got struct{ Hit, Upload, Note bool }
	var list []got
	for _, p := range r.plan.Helper.Caches {
		list = append(list, got{p.Hit != nil, p.Upload != nil, p.Note != ""})
	}
	want := []got{{true, false, false}, {false, true, false}, {true, true, false}, {false, false, false}, {false, false, true}, {false, false, true}}
	if diff := cmp.Diff(want, list); diff != "" {
		t.Errorf("plan (-want +got):\n%s", diff)
	}
	if u := r.entry(1).Upload; u.MaxBytes != 100 {
		t.Errorf("the job's own limit: %+v", u)
	}
	r.fine()
	other := w.prepare(w.Cache, &job.Job{ID: 1}, &job.Plan{Timeout: time.Hour, Caches: plan.Caches[:1], Helper: job.HelperPlan{Caches: []job.CachePlan{{Save: true}}}})
	if other.entry(0).Upload != nil || other.entry(0).Note == "" {
		t.Errorf("a job of no project: %+v", other.entry(0))
	}
}

// TestSameKeyTwice shows that the later save wins, as it would for two jobs.
func TestSameKeyTwice(t *testing.T) {
	w := newWorld(t)
	r := w.start(w.Cache, []string{"k"}, []string{"k"})
	r.full(0, "one")
	r.full(1, "two")
	r.fine()
	if got := w.stored("k"); got != "two" {
		t.Errorf("stored %q", got)
	}
}

// TestClasses shows that what an unprotected job saves is never restored by a
// protected one, whatever its key looks like.
func TestClasses(t *testing.T) {
	w := newWorld(t)
	save := func(protected job.Tristate, key job.CacheKey, content string) {
		t.Helper()
		r := w.classed(w.Cache, protected, key)
		r.full(0, content)
		r.fine()
	}
	restore := func(c *Cache, protected job.Tristate, keys ...job.CacheKey) string {
		t.Helper()
		r := w.classed(c, protected, keys...)
		defer r.end()
		return r.content(0)
	}
	key := func(text string) job.CacheKey { return job.CacheKey{Text: text, Name: text, Object: text} }

	save(job.True, key("k-protected"), "good")
	save(job.False, key("k-protected"), "forged")
	save(job.Unset, job.CacheKey{Text: "$K", Name: "k-protected", Object: "k-protected"}, "by variable")
	if got := restore(w.Cache, job.True, key("k-protected")); got != "good" {
		t.Errorf("a protected job restores %q", got)
	}
	if got := restore(w.Cache, job.False, key("none-non_protected"), job.CacheKey{Text: "k-protected", Name: "k-protected", Object: "k-protected", User: true}); got != "" {
		t.Errorf("CACHE_FALLBACK_KEY restores %q", got)
	}
	if got := restore(w.Cache, job.False, key("k-non_protected")); got != "" {
		t.Errorf("an unprotected job restores %q", got)
	}
	open := w.daemon(func(c *Config) { c.UnprotectedReadsProtected = true })
	if got := restore(open, job.False, key("k-non_protected")); got != "good" {
		t.Errorf("an unprotected job that may read restores %q", got)
	}

	r := w.classed(open, job.False, key("k-non_protected"))
	if hit := r.entry(0).Hit; hit == nil || !hit.Fallback {
		t.Fatalf("hit %+v", hit)
	}
	r.Event(job.CacheEvent{Restored: &job.CacheRestored{Result: job.CacheBroken, Code: job.CodeCorrupt}})
	r.full(0, "unprotected")
	r.fine()
	if got := restore(w.Cache, job.True, key("k-protected")); got != "good" {
		t.Errorf("afterwards a protected job restores %q", got)
	}
	if got := restore(w.Cache, job.False, key("k-non_protected")); got != "unprotected" {
		t.Errorf("afterwards an unprotected job restores %q", got)
	}
}

func (w *world) classed(c *Cache, protected job.Tristate, keys ...job.CacheKey) *run {
	j := &job.Job{ID: 1000 + w.ids.Add(1), ProjectID: 7, Git: job.Git{Ref: "r", Protected: protected}}
	return w.prepare(c, j, &job.Plan{
		Timeout: time.Hour, Caches: []job.CacheRequest{{Keys: keys}},
		Helper: job.HelperPlan{Caches: []job.CachePlan{{Key: keys[0].Name, Restore: true, Save: true}}},
	})
}

// TestUnpublished shows that nothing stays of what a job has not saved.
func TestUnpublished(t *testing.T) {
	w := newWorld(t)
	tests := []struct {
		name string
		end  func(*run)
	}{
		{"the pod is killed", func(*run) {}},
		{"the pod is killed while it reports", func(r *run) {
			r.Event(job.CacheEvent{Segments: []job.CacheSegment{segmentOf("aaa")}})
		}},
		{"the save has failed", func(r *run) {
			r.report(0, job.CacheSaved{Result: job.SaveFailed, Code: job.CodeTimeout}, nil)
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := w.start(w.Cache, []string{tt.name})
			r.send(0, "aaa", "bb")
			tt.end(r)
			r.fine()
			if names := w.names(string(w.shared(tt.name))); len(names) > 0 {
				t.Errorf("left: %q", names)
			}
			r.report(0, job.CacheSaved{Result: job.SaveFull}, []job.CacheSegment{segmentOf("aaa")})
			if warnings := r.end(); len(warnings) > 0 {
				t.Errorf("a report after the end: %q", warnings)
			}
		})
	}
}

func TestUse(t *testing.T) {
	w := newWorld(t)
	w.save(w.Cache, "k", "x")
	used := w.shared("k").used()
	if slices.Contains(w.names(used), used) {
		t.Fatal("it is in use before it was restored")
	}
	w.start(w.Cache, []string{"k"}).fine()
	if !slices.Contains(w.names(used), used) {
		t.Fatal("its use is not noted")
	}
	if err := w.store.Delete(t.Context(), used); err != nil {
		t.Fatal(err)
	}
	w.start(w.Cache, []string{"k"}).fine()
	if slices.Contains(w.names(used), used) {
		t.Error("its use is noted twice in an hour")
	}
	w.now = func() time.Time { return time.Now().Add(useEvery) }
	w.start(w.Cache, []string{"k"}).fine()
	if !slices.Contains(w.names(used), used) {
		t.Error("its use is not noted an hour later")
	}
}

func TestAge(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Lifetime = 30 * day })
	w.save(w.Cache, "k", "x")
	at := func(age time.Duration) *job.CachePlan {
		t.Helper()
		c := w.daemon(func(c *Config) { c.Lifetime = 30 * day })
		c.now = func() time.Time { return time.Now().Add(age) }
		r := w.start(c, []string{"k"})
		r.fine()
		return r.entry(0)
	}
	if p := at(14 * day); p.Hit == nil || p.Hit.Renew {
		t.Errorf("young: %+v", p.Hit)
	}
	if p := at(16 * day); p.Hit == nil || !p.Hit.Renew {
		t.Errorf("half of its life is over: %+v", p.Hit)
	}
	if p := at(29 * day); p.Hit != nil || p.Lookups[0].Result != job.CacheMiss || !strings.Contains(p.Lookups[0].Detail, "29 days old") {
		t.Errorf("about to be deleted: %+v", p)
	}

	// What has become too old while the job was running takes no delta.
	c := w.daemon(func(c *Config) { c.Lifetime = 30 * day })
	var later atomic.Int64
	c.now = func() time.Time { return time.Now().Add(time.Duration(later.Load())) }
	r := w.start(c, []string{"k"})
	segments := r.send(0, "d")
	later.Store(int64(29 * day))
	r.report(0, job.CacheSaved{Result: job.SaveDelta, Base: r.entry(0).Hit.Base.ID}, segments)
	if warnings := r.end(); len(warnings) != 1 || !strings.Contains(warnings[0], "29 days old") {
		t.Errorf("warnings %q", warnings)
	}
	if got := w.stored("k"); got != "x" {
		t.Errorf("stored %q", got)
	}
}
