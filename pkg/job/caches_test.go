package job

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestSanitizeKey(t *testing.T) {
	tests := map[string]string{
		"deps":               "deps",
		"group/deps":         "group/deps",
		"a%2fb%2Fc":          "a/b/c",
		"%2e%2E/deps":        "deps",
		`a\b`:                "a/b",
		"../../etc/passwd":   "etc/passwd",
		"/deps/":             "deps",
		"deps  \t":           "deps",
		"a/ /":               "a",
		"a/.. ":              "",
		"a/b/.. /":           "a",
		" deps":              " deps",
		"..":                 "",
		"":                   "",
		" ":                  "",
		"/":                  "",
		"x-protected%2f%20/": "x-protected/%20",
		"x-protected/ ":      "x-protected",
	}
	for key, want := range tests {
		if got := sanitizeKey(key); got != want {
			t.Errorf("sanitizeKey(%q) = %q, want %q", key, got, want)
		}
		if again := sanitizeKey(want); again != want {
			t.Errorf("sanitizeKey(%q) = %q: not idempotent", want, again)
		}
	}
}

// cached compiles a job with caches and variables.
func cached(t *testing.T, caches []Cache, vars ...Variable) *Plan {
	t.Helper()
	j := example()
	j.Caches = caches
	j.Variables = append(j.Variables, vars...)
	p, err := Compile(j, options())
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Caches) != len(p.Helper.Caches) {
		t.Fatalf("%d requests for %d caches", len(p.Caches), len(p.Helper.Caches))
	}
	return p
}

func warned(p *Plan, part string) bool {
	return slices.ContainsFunc(p.Helper.Warnings, func(w string) bool { return strings.Contains(w, part) })
}

func TestCacheDefaults(t *testing.T) {
	p := cached(t, []Cache{{Key: "deps-non_protected", Paths: []string{"vendor"}}, {Key: "nothing"}})
	want := []CachePlan{{
		Key: "deps-non_protected", Paths: []string{"vendor"}, When: WhenSuccess, Restore: true, Save: true,
		Attempts: 1, Timeout: 10 * time.Minute, Level: "fastest",
	}}
	if diff := cmp.Diff(want, p.Helper.Caches); diff != "" {
		t.Errorf("plan (-want +got):\n%s", diff)
	}
	keys := []CacheRequest{{Keys: []CacheKey{{Name: "deps-non_protected", Object: "deps-non_protected", Text: "deps-non_protected"}}}}
	if diff := cmp.Diff(keys, p.Caches); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
}

func TestCacheKeys(t *testing.T) {
	p := cached(t, []Cache{{
		Key: "$KIND/../deps-protected", Untracked: true, FallbackKeys: []string{"$KIND-old", "..", "main"},
	}}, Variable{Key: "KIND", Value: "npm"}, Variable{Key: "CACHE_FALLBACK_KEY", Value: "last/resort"})
	want := []CacheKey{
		{Name: "deps-protected", Object: "deps-protected", Text: "$KIND/../deps-protected"},
		{Name: "npm-old", Object: "npm-old", Text: "$KIND-old"},
		{Name: "main", Object: "main", Text: "main"},
		{Name: "last/resort", Object: "last/resort", Text: "last/resort", User: true},
	}
	if diff := cmp.Diff(want, p.Caches[0].Keys); diff != "" {
		t.Errorf("keys (-want +got):\n%s", diff)
	}
	for _, part := range []string{`"npm/../deps-protected" sanitized to "deps-protected"`, `".." could not be sanitized`} {
		if !warned(p, part) {
			t.Errorf("no warning says %s: %q", part, p.Helper.Warnings)
		}
	}
}

func TestCacheWithoutKey(t *testing.T) {
	p := cached(t, []Cache{{Paths: []string{"a"}}})
	j := example()
	if got, want := p.Caches[0].Keys[0].Name, j.Name+"/"+j.Git.Ref; got != want {
		t.Errorf("key %q, want %q", got, want)
	}
}

func TestHashedCacheKeysAreNotSanitized(t *testing.T) {
	p := cached(t, []Cache{{Key: "a/../b ", Paths: []string{"x"}}}, Variable{Key: "FF_HASH_CACHE_KEYS", Value: "true"})
	if got := p.Caches[0].Keys[0].Object; got != "a/../b " {
		t.Errorf("object key %q", got)
	}
}

// A variable must not lead a job to the caches of protected refs.
func TestFallbackVariableNeverReachesProtected(t *testing.T) {
	for _, value := range []string{
		"main-protected", "main-protected.", "main-protected . .", "main-protected/", "main-protected%2f", `main-protected\`,
		"x/../main-protected", "main-protected/ ", "main-protected/x/..",
	} {
		p := cached(t, []Cache{{Key: "deps-non_protected", Paths: []string{"a"}}}, Variable{Key: "CACHE_FALLBACK_KEY", Value: value, Raw: true})
		if keys := p.Caches[0].Keys; len(keys) != 1 {
			t.Errorf("CACHE_FALLBACK_KEY=%q is looked up as %q", value, keys[1].Name)
		}
		if !warned(p, "is not used") {
			t.Errorf("CACHE_FALLBACK_KEY=%q: no warning: %q", value, p.Helper.Warnings)
		}
	}
}

func TestCacheMode(t *testing.T) {
	tests := []struct {
		mode          string
		restore, save bool
		fails         bool
	}{
		{"", true, true, false},
		{"pull-push", true, true, false},
		{"pull", true, false, false},
		{"push", false, true, false},
		{"$MODE", true, false, false},
		{"$NOTHING", true, true, false},
		{"pull push", false, false, true},
	}
	for _, tt := range tests {
		c := cached(t, []Cache{{Key: "k", Paths: []string{"a"}, Mode: tt.mode}}, Variable{Key: "MODE", Value: "pull"}).Helper.Caches[0]
		if c.Restore != tt.restore || c.Save != tt.save || (c.Error != "") != tt.fails {
			t.Errorf("policy %q: restore %t, save %t, error %q", tt.mode, c.Restore, c.Save, c.Error)
		}
	}
}

func TestCacheSettings(t *testing.T) {
	p := cached(t, []Cache{{Key: "k", Paths: []string{"a"}, When: WhenAlways}},
		Variable{Key: "RESTORE_CACHE_ATTEMPTS", Value: "3"}, Variable{Key: "CACHE_REQUEST_TIMEOUT", Value: "2"},
		Variable{Key: "CACHE_COMPRESSION_LEVEL", Value: "slow"}, Variable{Key: "CACHE_MAX_UPLOADED_ARCHIVE_SIZE", Value: "1000"},
		Variable{Key: "FF_CLEAN_UP_FAILED_CACHE_EXTRACT", Value: "1"})
	want := CachePlan{
		Key: "k", Paths: []string{"a"}, When: WhenAlways, Restore: true, Save: true,
		Attempts: 3, Timeout: 2 * time.Minute, Level: "default", MaxBytes: 1000, WipeOnErr: true,
	}
	if diff := cmp.Diff(want, p.Helper.Caches[0]); diff != "" {
		t.Errorf("plan (-want +got):\n%s", diff)
	}
	p = cached(t, []Cache{{Key: "k", Paths: []string{"a"}}},
		Variable{Key: "CACHE_REQUEST_TIMEOUT", Value: "soon"}, Variable{Key: "CACHE_MAX_UPLOADED_ARCHIVE_SIZE", Value: "5GB"})
	for _, key := range []string{"CACHE_REQUEST_TIMEOUT", "CACHE_MAX_UPLOADED_ARCHIVE_SIZE"} {
		if !warned(p, key) {
			t.Errorf("no warning names %s: %q", key, p.Helper.Warnings)
		}
	}
}
