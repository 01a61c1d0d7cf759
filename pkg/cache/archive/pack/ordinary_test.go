package pack

import (
	"archive/tar"
	"bytes"
	"strings"
	"testing"

	"github.com/runnerd/runnerd/pkg/cache/archive/tree"
)

// What appendOrdinary writes, archive/tar reads as what archive/tar would have
// written.
func TestHeadersAreTheSame(t *testing.T) {
	hundred := strings.Repeat("n", 100)
	for _, mtime := range []int64{0, 1, 999_999_999, 1_700_000_000_000_000_000, 1_700_000_000_123_456_789, 9_223_372_036_854_775_807, 5_000_000_001} {
		for _, e := range []tree.Entry{
			{Path: "a", Stat: tree.Stat{Kind: tree.File, Perm: 0o644, Size: 12345}},
			{Path: hundred, Stat: tree.Stat{Kind: tree.File, Perm: 0o755}},
			{Path: "d/" + hundred[:97], Stat: tree.Stat{Kind: tree.Dir, Perm: 0o700}},
			{Path: "l", Stat: tree.Stat{Kind: tree.Symlink, Perm: 0o777}, Target: hundred},
			{Path: "h", Stat: tree.Stat{Kind: tree.File, Perm: 0o777}, Link: "d/file"},
			{Path: "big", Stat: tree.Stat{Kind: tree.File, Perm: 0o600, Size: 1<<33 - 1}},
			{Path: "bigger", Stat: tree.Stat{Kind: tree.File, Perm: 0o600, Size: 1 << 33}},
			{Path: "ümlaut", Stat: tree.Stat{Kind: tree.File}},
			{Path: hundred + "x", Stat: tree.Stat{Kind: tree.File}},
		} {
			e.MTime = mtime
			raw, err := appendHeader([]byte("before"), &e)
			if err != nil {
				t.Fatal(err)
			}
			raw, ok := bytes.CutPrefix(raw, []byte("before"))
			if !ok || len(raw)%blockBytes != 0 {
				t.Fatalf("%q: %d bytes", e.Path, len(raw))
			}
			h, err := tar.NewReader(bytes.NewReader(raw)).Next()
			if err != nil {
				t.Fatalf("%q at %d: %v", e.Path, mtime, err)
			}
			name := e.Path
			if e.Kind == tree.Dir {
				name += "/"
			}
			if h.Name != name || h.Linkname != e.Target+e.Link || h.Mode != int64(e.Perm) || h.ModTime.UnixNano() != mtime {
				t.Errorf("%q at %d is read as %+v", e.Path, mtime, h)
			}
			if e.Kind == tree.File && e.Link == "" && h.Size != e.Size {
				t.Errorf("%q: size %d is read as %d", e.Path, e.Size, h.Size)
			}
		}
	}
}

func BenchmarkHeader(b *testing.B) {
	e := tree.Entry{Path: "node_modules/pkg/lib/file.js", Stat: tree.Stat{Kind: tree.File, Perm: 0o644, Size: 1900, MTime: 1_700_000_000_123_456_789}}
	var dst []byte
	for b.Loop() {
		var err error
		if dst, err = appendHeader(dst[:0], &e); err != nil {
			b.Fatal(err)
		}
	}
}
