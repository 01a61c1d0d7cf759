package cache

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/runnerd/runnerd/pkg/job"
)

// list returns the keys that f takes.
func (w *world) list(f Filter) []string {
	w.t.Helper()
	keys := []string{}
	for _, e := range w.entries(f) {
		keys = append(keys, e.Key)
	}
	slices.Sort(keys)
	return keys
}

func (w *world) entries(f Filter) []Entry {
	w.t.Helper()
	var list []Entry
	for e, err := range w.Entries(w.t.Context(), f) {
		if err != nil {
			w.t.Fatal(err)
		}
		list = append(list, e)
	}
	return list
}

// saving prepares a job that only saves a cache.
func (w *world) saving(project int64, key string) *run {
	w.t.Helper()
	j := &job.Job{ID: 1, ProjectID: project, Git: job.Git{Ref: "main"}}
	return w.prepare(w.Cache, j, &job.Plan{
		Timeout: time.Hour, Caches: []job.CacheRequest{{Keys: []job.CacheKey{{Name: key, Object: key, Text: key}}}},
		Helper: job.HelperPlan{Caches: []job.CachePlan{{Key: key, Save: true}}},
	})
}

// saveIn makes a cache of another project.
func (w *world) saveIn(project int64, key, content string) {
	w.t.Helper()
	r := w.saving(project, key)
	r.full(0, content)
	r.fine()
}

func TestEntries(t *testing.T) {
	w := newWorld(t)
	w.save(w.Cache, "go-mod", "old")
	r := w.save(w.Cache, "go-mod", "12345", "678")
	d := w.start(w.Cache, []string{"go-mod"})
	d.delta(0, "dd")
	d.fine()
	w.saveIn(12, "npm", "n")
	w.write(w.shared("odd").head(), "?")

	all := w.entries(Filter{Key: "go-mod"})
	if len(all) != 1 {
		t.Fatalf("entries %+v", all)
	}
	e := all[0]
	if e.Created.IsZero() || time.Since(e.LastUsed) > time.Minute {
		t.Errorf("times %+v", e)
	}
	size := e.Bytes
	want := Entry{
		Project: 7, Class: Shared, Hash: hashKey("", "go-mod"), Key: "go-mod", Base: 8, Delta: 2, Orphans: 3, Bytes: size, Objects: 6,
		Raw: 100, Entries: 2, Created: e.Created, LastUsed: e.LastUsed, Job: d.job.ID, Ref: "main",
	}
	if diff := cmp.Diff(want, e); diff != "" {
		t.Errorf("entry (-want +got):\n%s", diff)
	}
	if size <= 13 {
		t.Errorf("%d bytes, without those of the head", size)
	}
	if err := w.store.Delete(t.Context(), w.shared("go-mod").segment(r.entry(0).Upload.Layer, 0)); err != nil {
		t.Fatal(err)
	}
	if e := w.entries(Filter{Key: "go-mod"})[0]; !strings.Contains(e.Problem, "missing") {
		t.Errorf("problem %q", e.Problem)
	}

	for _, tt := range []struct {
		filter Filter
		want   []string
	}{
		{Filter{}, []string{"", "go-mod", "npm"}},
		{Filter{Project: 7}, []string{"", "go-mod"}},
		{Filter{Project: 12}, []string{"npm"}},
		{Filter{Project: 1}, []string{}},
		{Filter{Key: "mod"}, []string{"go-mod"}},
		{Filter{Key: "n*"}, []string{"npm"}},
		{Filter{OlderThan: time.Hour}, []string{}},
	} {
		if got := w.list(tt.filter); !slices.Equal(got, tt.want) {
			t.Errorf("%+v takes %q, want %q", tt.filter, got, tt.want)
		}
	}
	for range w.Entries(t.Context(), Filter{}) {
		break // the first is enough
	}

	totals, err := w.Stat(t.Context())
	if err != nil || len(totals) != 2 {
		t.Fatalf("totals %+v, %v", totals, err)
	}
	if a, b := totals[0], totals[1]; a.Project != 12 || a.Keys != 1 || a.Objects != 2 || b.Project != 7 || b.Keys != 2 || b.Objects != 6 || b.Bytes != size-5+1 {
		t.Errorf("totals %+v", totals)
	}
}

func TestPrune(t *testing.T) {
	w := newWorld(t)
	if _, err := w.Prune(t.Context(), PruneOptions{DryRun: true}); err == nil {
		t.Error("it would delete everything, unasked")
	}
	const content = 4000 // more than a head has
	for i := range 5 {
		w.save(w.Cache, fmt.Sprint("k", i), strings.Repeat("x", content))
	}
	w.saveIn(12, "other", "x")
	// The first two are used again: the store counts in seconds, or finer.
	last := w.entries(Filter{Project: 7})
	newest := slices.MaxFunc(last, func(a, b Entry) int { return a.LastUsed.Compare(b.LastUsed) }).LastUsed
	for _, key := range []string{"k0", "k1"} {
		w.eventually(key+" is the one that was used last", func() bool {
			if err := w.writeUse(t.Context(), w.shared(key), 1); err != nil {
				t.Fatal(err)
			}
			return w.entries(Filter{Key: key})[0].LastUsed.After(newest)
		})
		newest = w.entries(Filter{Key: key})[0].LastUsed
	}
	running := w.saving(7, "k2") // without a restore, which would be a use
	running.send(0, "not published yet")

	var total int64
	for _, e := range w.entries(Filter{Project: 7}) {
		total += e.Bytes
	}
	options := PruneOptions{Project: 7, MaxSize: total - content*5/4, DryRun: true}
	dry, err := w.Prune(t.Context(), options)
	if err != nil || len(w.list(Filter{})) != 6 {
		t.Fatalf("a dry run: %v, left %q", err, w.list(Filter{}))
	}
	options.DryRun = false
	var steps []int
	options.Progress = func(done, total int, _ int64) { steps = append(steps, done, total) }
	result, err := w.Prune(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(dry.Entries, result.Entries); diff != "" {
		t.Errorf("a dry run has promised something else (-dry +wet):\n%s", diff)
	}
	if got, want := w.list(Filter{Project: 7, Key: "k"}), []string{"k0", "k1", "k4"}; !slices.Equal(got, want) {
		t.Errorf("left %q, want those that were used last, %q", got, want)
	}
	if !slices.Equal(steps, []int{1, 2, 2, 2}) || result.Bytes < 2*content {
		t.Errorf("steps %v, result %+v", steps, result)
	}

	// What was being saved meanwhile is not lost.
	running.report(0, job.CacheSaved{Result: job.SaveFull}, []job.CacheSegment{segmentOf("not published yet")})
	running.fine()
	if got := w.stored("k2"); got != "not published yet" {
		t.Errorf("stored %q", got)
	}

	w.now = func() time.Time { return time.Now().Add(10 * day) }
	if r, err := w.Prune(t.Context(), PruneOptions{OlderThan: 11 * day}); err != nil || r.Objects != 0 {
		t.Errorf("none is that old: %+v, %v", r, err)
	}
	if r, err := w.Prune(t.Context(), PruneOptions{Key: "*0", OlderThan: 9 * day}); err != nil || len(r.Entries) != 1 || r.Entries[0].Key != "k0" {
		t.Errorf("by key: %+v, %v", r, err)
	}
	if r, err := w.Prune(t.Context(), PruneOptions{Project: 12}); err != nil || len(r.Entries) != 1 || r.Objects != 2 {
		t.Errorf("by project: %+v, %v", r, err)
	}
	if r, err := w.Prune(t.Context(), PruneOptions{OlderThan: 9 * day}); err != nil || len(w.names("ci/")) != 0 {
		t.Errorf("all that is old: %+v, %v; left %q", r, err, w.names("ci/"))
	}
}
