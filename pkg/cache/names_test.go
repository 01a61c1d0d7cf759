package cache

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/runnerd/runnerd/pkg/job"
)

func TestLayerIDs(t *testing.T) {
	start := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	var ids []string
	for i := range 1000 {
		id := newLayerID(start.Add(time.Duration(i) * time.Millisecond))
		if !validLayerID(id) {
			t.Fatalf("%q is not valid", id)
		}
		ids = append(ids, id)
	}
	if !slices.IsSorted(ids) {
		t.Error("ids of later layers are not greater")
	}
	if a, b := newLayerID(start), newLayerID(start); a == b || a[:9] != b[:9] {
		t.Errorf("two ids of one moment: %s and %s", a, b)
	}
	if id := newLayerID(time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)); !validLayerID(id) {
		t.Errorf("%q is not valid", id)
	}
	good := ids[0]
	for _, bad := range []string{
		"", good[1:], good + "0", "8" + good[1:], strings.ToUpper(good[:25]) + "A", good[:25] + "/", good[:25] + "i", good[:25] + "l",
		good[:25] + "o", good[:25] + "u", good[:25] + ".", strings.Repeat(".", 26), "../../../../../../../../..",
	} {
		if validLayerID(bad) {
			t.Errorf("%q is valid", bad)
		}
	}
}

func TestNames(t *testing.T) {
	c, err := New(nil, Config{Path: "/ci/caches/", Runner: "abc123"})
	if err != nil {
		t.Fatal(err)
	}
	p := placeOf(42, Unprotected, "", "../../etc/passwd")
	f := c.folder(p)
	// printf %s ../../etc/passwd | sha256sum | cut -c-32
	if want := folder("ci/caches/runner/abc123/v1/42/u/3754d6cb3a38e1185e5b382d5f3ef3f1/"); f != want {
		t.Errorf("folder %q, want %q", f, want)
	}
	id := newLayerID(time.Now())
	for name, want := range map[string]parsedName{
		f.head():            {place: p, object: headObject},
		f.used():            {place: p, object: usedObject},
		f.segment(id, 0):    {place: p, layer: id},
		f.segment(id, 2399): {place: p, layer: id, segment: 2399},
	} {
		if got, ok := c.parse(name); !ok || got != want {
			t.Errorf("parse(%q) = %+v, %t, want %+v", name, got, ok, want)
		}
	}
	root := string(f)
	for _, strange := range []string{
		"", "v1/42/u/x/head", root, root + "heads", root + "o", root + "o/" + id, root + "o/" + id + "/0", root + "o/" + id + "/000000",
		root + "o/" + id + "/-0001", root + "o/" + id + "/00000/x", root + "o/../00000", root + "x/" + id + "/00000",
		strings.Replace(f.head(), "/42/", "/042/", 1), strings.Replace(f.head(), "/42/", "/-1/", 1), strings.Replace(f.head(), "/42/", "/0/", 1),
		strings.Replace(f.head(), "/u/", "/x/", 1), strings.Replace(f.head(), "v1", "v2", 1), strings.ToUpper(f.head()),
		"other/" + f.head(),
	} {
		if got, ok := c.parse(strange); ok {
			t.Errorf("parse(%q) = %+v, want nothing", strange, got)
		}
	}
}

func TestPrefix(t *testing.T) {
	tests := []struct {
		config Config
		want   string // "!" for an error
	}{
		{Config{SharedStore: true}, "v1/"},
		{Config{SharedStore: true, Path: "a/b"}, "a/b/v1/"},
		{Config{Runner: "t0ken"}, "runner/t0ken/v1/"},
		{Config{Runner: "t0ken", Path: "a"}, "a/runner/t0ken/v1/"},
		{Config{}, "!"},
		{Config{Runner: ".."}, "!"},
		{Config{Runner: "a/b"}, "!"},
		{Config{SharedStore: true, Path: "../a"}, "!"},
		{Config{SharedStore: true, Path: "a//b"}, "!"},
	}
	for _, tt := range tests {
		got := "!"
		if c, err := New(nil, tt.config); err == nil {
			got = c.root(0)
		}
		if got != tt.want {
			t.Errorf("the root of %+v is %q, want %q", tt.config, got, tt.want)
		}
	}
}

func TestExpired(t *testing.T) {
	tests := []struct {
		age, lifetime time.Duration
		gone, due     bool
	}{
		{1000 * day, 0, false, false},
		{0, 30 * day, false, false},
		{15 * day, 30 * day, false, false},
		{15*day + 1, 30 * day, false, true},
		{28*day - 1, 30 * day, false, true},
		{28 * day, 30 * day, true, true},
		{100 * day, 30 * day, true, true},
		{88*day - 1, 90 * day, false, true},
		{14 * time.Hour, day, false, true},
		{22*time.Hour + 24*time.Minute, day, true, true},
		{-time.Hour, 30 * day, false, false}, // clocks differ
	}
	for _, tt := range tests {
		if gone, due := expired(tt.age, tt.lifetime); gone != tt.gone || due != tt.due {
			t.Errorf("expired(%s, %s) = %t, %t, want %t, %t", tt.age, tt.lifetime, gone, due, tt.gone, tt.due)
		}
	}
}

// TestSegmentsFor fills segments as badly as an archive can: with records that
// are just too large for a second one to fit.
func TestSegmentsFor(t *testing.T) {
	const mib = 1 << 20
	for _, bytes := range []int64{1, mib, 8 * mib, 64 * mib, 512 * mib, 2 << 30, 5 << 30, 20 << 30} {
		urls := segmentsFor(bytes)
		const record = 4*mib + 2000
		var stored int64
		used := 0
		for stored < bytes {
			var size int64
			for size+record <= job.SegmentBytes(used) && stored < bytes {
				size += record
				stored += record
			}
			used++
		}
		if urls < used || urls > 2*used+64 {
			t.Errorf("%d bytes: %d URLs, and %d segments at the worst", bytes, urls, used)
		}
	}
	if n := segmentsFor(5 << 30); n > 300 {
		t.Errorf("5 GiB: %d URLs", n)
	}
	if n := segmentsFor(1 << 50); n != maxSegments {
		t.Errorf("a petabyte: %d URLs, want %d", n, maxSegments)
	}
}

func TestMatches(t *testing.T) {
	tests := []struct {
		pattern, key string
		want         bool
	}{
		{"", "x", true},
		{"", "", true},
		{"mod", "go-mod-main", true},
		{"mod", "go", false},
		{"go*", "go-mod", true},
		{"go*", "a-go", false},
		{"*mod", "go-mod", true},
		{"go*main", "go/x/main", true},
		{"go*main", "gomain2", false},
		{"a*b*c", "a-b-b-c", true},
		{"a*b*c", "a-c-b", false},
		{"ab*ba", "aba", false},
		{"*", "", true},
	}
	for _, tt := range tests {
		if got := matches(tt.pattern, tt.key); got != tt.want {
			t.Errorf("matches(%q, %q) = %t, want %t", tt.pattern, tt.key, got, tt.want)
		}
	}
}
