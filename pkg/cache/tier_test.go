package cache

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/runnerd/runnerd/pkg/job"
)

func TestTiersHavePlacesOfTheirOwn(t *testing.T) {
	// printf %s go-mod | sha256sum | cut -c-32
	if got, want := hashKey("", "go-mod"), "de8e203f7769f7728dd1ae0ab5584b5c"; got != want {
		t.Errorf("without a tier: %s, want %s: caches that are there would be lost", got, want)
	}
	// (printf "\xff"; printf release | sha256sum | cut -c-64 | xxd -r -p; printf go-mod) | sha256sum | cut -c-32
	if got, want := hashKey("release", "go-mod"), "c2f38072ef3ed31cf1118de5a4cd6d54"; got != want {
		t.Errorf("in a tier: %s, want %s: caches that are there would be lost", got, want)
	}
	seen := map[string]string{}
	for _, tier := range []string{"", "a", "b", "ab"} {
		for _, key := range []string{"", "a", "b", "ab", "bc", "c", "\x00b", "a\x00b", "b\x00c"} {
			hash, what := hashKey(tier, key), "tier "+tier+", key "+key
			if other, ok := seen[hash]; ok {
				t.Errorf("%q lies where %q does", what, other)
			}
			seen[hash] = what
		}
	}
}

// TestKeysOutsideUTF8AreNotUsed is what sets a tier's place apart from that of
// any key without one.
func TestKeysOutsideUTF8AreNotUsed(t *testing.T) {
	c := &Cache{Config: Config{UnprotectedReadsProtected: true, ForceSeparate: true}}
	forged := "\xff" + "0123456789abcdef0123456789abcdef" + "go-mod"
	for _, one := range c.candidates(&job.Job{ProjectID: 7}, "", []job.CacheKey{{Name: forged, Object: forged, Text: forged}}) {
		if one.refused == "" {
			t.Errorf("%q is looked up", one.object)
		}
	}
}

// TestTiers shows that jobs of one tier see what other tiers have saved under no
// key: not under their own, not as a fallback, and not as the cache of
// protected refs.
func TestTiers(t *testing.T) {
	w := newWorld(t)
	open := w.daemon(func(c *Config) { c.UnprotectedReadsProtected = true })
	tiers := []string{"", "release", "untrusted"}
	protected, unprotected := tieredKey("k-protected"), tieredKey("k-non_protected")
	for _, tier := range tiers {
		r := w.tiered(open, tier, job.True, protected)
		if p := r.entry(0); p.Hit != nil {
			t.Fatalf("tier %q restores what tier %q has saved", tier, p.Hit.Ref)
		}
		r.full(0, "of "+tier)
		r.fine()
	}
	for _, tier := range tiers {
		want := "of " + tier
		r := w.tiered(open, tier, job.True, protected)
		if got := r.content(0); got != want {
			t.Errorf("tier %q restores %q, want %q", tier, got, want)
		}
		r.delta(0, "+")
		r.fine()
		for what, r := range map[string]*run{
			"as a fallback":        w.tiered(open, tier, job.True, tieredKey("none-protected"), protected),
			"of a protected ref":   w.tiered(open, tier, job.False, unprotected),
			"after another's save": w.tiered(open, tier, job.True, protected),
		} {
			if got := r.content(0); got != want+"++" {
				t.Errorf("%s, tier %q restores %q, want %q", what, tier, got, want+"++")
			}
			r.fine()
		}
	}

	r := w.tiered(open, "new", job.True, protected)
	want := []job.CacheLookup{{Key: "k-protected", Result: job.CacheMiss, Detail: `no cache in tier "new"`}}
	if diff := cmp.Diff(want, r.entry(0).Lookups); diff != "" {
		t.Errorf("lookups (-want +got):\n%s", diff)
	}
	r.fine()

	found := map[string]string{}
	for _, e := range w.entries(Filter{Key: "k-protected"}) {
		if e.Problem != "" {
			t.Errorf("entry %+v", e)
		}
		found[e.Tier] = e.Key
	}
	if diff := cmp.Diff(map[string]string{"": "k-protected", "release": "k-protected", "untrusted": "k-protected"}, found); diff != "" {
		t.Errorf("caches by tier (-want +got):\n%s", diff)
	}
}

func tieredKey(text string) job.CacheKey { return job.CacheKey{Text: text, Name: text, Object: text} }

func (w *world) tiered(c *Cache, tier string, protected job.Tristate, keys ...job.CacheKey) *run {
	j := &job.Job{ID: 1000 + w.ids.Add(1), ProjectID: 7, Git: job.Git{Ref: "ref of " + tier, Protected: protected}}
	return w.prepare(c, j, &job.Plan{
		Timeout: time.Hour, Placement: job.Placement{CacheTier: tier}, Caches: []job.CacheRequest{{Keys: keys}},
		Helper: job.HelperPlan{Caches: []job.CachePlan{{Key: keys[0].Name, Restore: true, Save: true}}},
	})
}
