package cache

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/runnerd/runnerd/pkg/job"
)

func TestClassOf(t *testing.T) {
	tests := []struct {
		text                   string
		protected, other, none Class // by the ref's flag: protected, not, unknown
		forced                 [3]Class
	}{
		{"go-mod-protected", Protected, Unprotected, Unprotected, [3]Class{Protected, Unprotected, Unprotected}},
		{"go-mod-non_protected", Unprotected, Unprotected, Unprotected, [3]Class{Unprotected, Unprotected, Unprotected}},
		{"go-mod", Shared, Shared, Shared, [3]Class{Protected, Unprotected, Unprotected}},
		{"", Shared, Shared, Shared, [3]Class{Protected, Unprotected, Unprotected}},
		{"-protected", Protected, Unprotected, Unprotected, [3]Class{Protected, Unprotected, Unprotected}},
		// Suffixes that the author of a job has written, with GitLab's behind them.
		{"x-protected-non_protected", Unprotected, Unprotected, Unprotected, [3]Class{Unprotected, Unprotected, Unprotected}},
		{"x-non_protected-protected", Protected, Unprotected, Unprotected, [3]Class{Protected, Unprotected, Unprotected}},
		// What a variable expands to does not count.
		{"$SUFFIX", Shared, Shared, Shared, [3]Class{Protected, Unprotected, Unprotected}},
		{"x-protected$EMPTY", Shared, Shared, Shared, [3]Class{Protected, Unprotected, Unprotected}},
		{"x-protected ", Shared, Shared, Shared, [3]Class{Protected, Unprotected, Unprotected}},
		{"x-protected-1", Shared, Shared, Shared, [3]Class{Protected, Unprotected, Unprotected}},
		{"x-PROTECTED", Shared, Shared, Shared, [3]Class{Protected, Unprotected, Unprotected}},
		{"x_protected", Shared, Shared, Shared, [3]Class{Protected, Unprotected, Unprotected}},
	}
	flags := []job.Tristate{job.True, job.False, job.Unset}
	for _, tt := range tests {
		for i, want := range []Class{tt.protected, tt.other, tt.none} {
			if got := classOf(tt.text, flags[i], false); got != want {
				t.Errorf("classOf(%q, %v, false) = %q, want %q", tt.text, flags[i], got, want)
			}
			if got := classOf(tt.text, flags[i], true); got != tt.forced[i] {
				t.Errorf("classOf(%q, %v, true) = %q, want %q", tt.text, flags[i], got, tt.forced[i])
			}
		}
	}
}

func TestForbidden(t *testing.T) {
	tests := []struct {
		key  job.CacheKey
		want bool
	}{
		{job.CacheKey{Text: "x-protected", Name: "x-protected", Object: "x-protected"}, false}, // GitLab's own
		{job.CacheKey{User: true, Text: "x-protected", Name: "x-protected", Object: "x-protected"}, true},
		{job.CacheKey{User: true, Text: "x-protected. .", Name: "x-protected. .", Object: "x-protected. ."}, true},
		{job.CacheKey{User: true, Text: "$A", Name: "x-protected", Object: "x-protected"}, true},
		{job.CacheKey{User: true, Text: "x-protected", Name: "x", Object: "x"}, true},
		{job.CacheKey{User: true, Text: "x", Name: "x", Object: "x-protected "}, true},
		{job.CacheKey{User: true, Text: "x-non_protected", Name: "x-non_protected", Object: "x-non_protected"}, false},
		{job.CacheKey{User: true, Text: "x", Name: "x", Object: "x"}, false},
	}
	for _, tt := range tests {
		if got := forbidden(tt.key); got != tt.want {
			t.Errorf("forbidden(%+v) = %t, want %t", tt.key, got, tt.want)
		}
	}
}

func TestCandidates(t *testing.T) {
	key := func(text string, user bool) job.CacheKey {
		return job.CacheKey{Text: text, Name: text, Object: text, User: user}
	}
	type want struct {
		class             Class
		key               string
		fallback, foreign bool
		refused           bool
	}
	tests := []struct {
		name      string
		config    Config
		protected job.Tristate
		keys      []job.CacheKey
		want      []want
	}{
		{
			name: "own key, then fallbacks, then the user's", protected: job.True,
			keys: []job.CacheKey{key("a-protected", false), key("b-protected", false), key("c", true)},
			want: []want{{Protected, "a-protected", false, false, false}, {Protected, "b-protected", true, false, false}, {Shared, "c", true, false, false}},
		},
		{
			name: "a user's key never reaches protected caches", protected: job.True,
			keys: []job.CacheKey{key("a-protected", false), key("main-protected", true)},
			want: []want{{Protected, "a-protected", false, false, false}, {Protected, "main-protected", true, false, true}},
		},
		{
			name: "a key twice is looked up once", protected: job.False,
			keys: []job.CacheKey{key("a", false), key("a", false), key("a", true)},
			want: []want{{Shared, "a", false, false, false}},
		},
		{
			name: "unprotected may read protected", config: Config{UnprotectedReadsProtected: true}, protected: job.False,
			keys: []job.CacheKey{key("a-non_protected", false), key("b-protected", false), key("c-non_protected", true), key("d", false)},
			want: []want{
				{Unprotected, "a-non_protected", false, false, false},
				{Protected, "a-protected", true, true, false},
				{Unprotected, "b-protected", true, false, false},
				{Protected, "b-protected", true, true, false},
				{Unprotected, "c-non_protected", true, false, false},
				{Shared, "d", true, false, false},
			},
		},
		{
			name: "forced apart", config: Config{ForceSeparate: true, UnprotectedReadsProtected: true}, protected: job.Unset,
			keys: []job.CacheKey{key("a", false)},
			want: []want{{Unprotected, "a", false, false, false}, {Protected, "a", true, true, false}},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := &Cache{Config: tt.config}
			var got []want
			for _, one := range c.candidates(&job.Job{ProjectID: 7, Git: job.Git{Protected: tt.protected}}, "", tt.keys) {
				if one.place != placeOf(7, one.class, "", one.object) {
					t.Errorf("%q lies at %+v", one.object, one.place)
				}
				got = append(got, want{one.class, one.key, one.fallback, one.foreign, one.refused != ""})
			}
			if diff := cmp.Diff(tt.want, got, cmp.AllowUnexported(want{})); diff != "" {
				t.Errorf("candidates (-want +got):\n%s", diff)
			}
		})
	}
}
