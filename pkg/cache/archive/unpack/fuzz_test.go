package unpack

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/runnerd/runnerd/pkg/cache/archive"
	"github.com/runnerd/runnerd/pkg/cache/archive/tree"
)

// repaired returns raw with the right checksum in each block that may be a header:
// otherwise hardly anything that the fuzzer does would get any further.
func repaired(raw []byte) []byte {
	raw = bytes.Clone(raw)
	for at := 0; at+blockBytes <= len(raw); at += blockBytes {
		if block := raw[at : at+blockBytes]; string(block[257:262]) == "ustar" {
			summed(block)
		}
	}
	return raw
}

// FuzzEntries unpacks a record of anybody's making into a directory that has
// something in it, and undoes it. Nothing outside may be touched, and all has to
// be undone.
func FuzzEntries(f *testing.F) {
	join := func(entries ...[]byte) []byte { return bytes.Join(entries, nil) }
	f.Add(join(file("a/b", "content"), folder("a", 0o500), symlink("c", "../outside"), link("d", "a/b")))
	f.Add(join(symlink("s", "../outside"), file("s/canary", "stolen")))
	f.Add(join(file("out/canary", "stolen")))
	f.Add(join(file("old", "new"), symlink("dir", "old")))
	f.Add(join(paxText("path", "../outside/x", file("a", ""))))
	f.Add(join(entry(tar.Header{Typeflag: tar.TypeReg, Name: strings.Repeat("long/", 30) + "x", ModTime: time.Unix(1, 1), Format: tar.FormatPAX}, "x")))
	top := f.TempDir()
	write(f, top+"/outside/canary", "canary")
	write(f, top+"/project/old", "old")
	write(f, top+"/project/dir/file", "file")
	if err := os.Symlink("../outside", top+"/project/out"); err != nil {
		f.Fatal(err)
	}
	root := openRoot(f, top+"/project")
	cursor := root.Cursor()
	defer cursor.Close()
	outside := openRoot(f, top+"/outside").Cursor()
	defer outside.Close()
	canary, err := outside.Lstat("canary")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		raw = repaired(raw)
		r := newRestore(root, nil, Options{Workers: 1, UID: -1, GID: -1})
		defer r.close()
		s := &stream{restore: r, layer: Layer{Raw: int64(len(raw)), Entries: len(raw)}, origin: tree.FromBase}
		err := r.workers[0].entries(context.Background(), s, raw)
		if err == nil {
			err = r.finish(context.Background())
		}
		if err := r.undo(); err != nil {
			t.Fatalf("undo: %v", err)
		}
		if err != nil && !errors.Is(err, archive.ErrCorrupt) && !errors.Is(err, ErrUnsafe) {
			t.Errorf("an error of another kind: %v", err)
		}
		for c, want := range map[string]int{"project": 3, "project/dir": 1, "outside": 1} {
			if list, err := os.ReadDir(top + "/" + c); err != nil || len(list) != want {
				t.Errorf("%s has %v (%v)", c, list, err)
			}
		}
		if st, err := outside.Lstat("canary"); err != nil || st.Mode != canary.Mode || st.Mtim != canary.Mtim || st.Ctim != canary.Ctim || st.Nlink != 1 {
			t.Errorf("the canary has changed: %+v (%v)", st, err)
		}
		if content, err := os.ReadFile(top + "/project/old"); err != nil || string(content) != "old" {
			t.Errorf("what was there has %q (%v)", content, err)
		}
	})
}

// FuzzHeader compares what is read here to what Go's reader of tar makes of it:
// what is accepted here, both understand the same way.
func FuzzHeader(f *testing.F) {
	f.Add(file("a/b", "content"))
	f.Add(paxText("mtime", "-1.5", paxText("path", "x", file("a", ""))[:512]))
	f.Add(paxText("size", "7", file("a", "content")))
	f.Add(paxText("mtime", "-1.5", folder("a", 0o755)))
	f.Add(entry(tar.Header{Typeflag: tar.TypeReg, Name: strings.Repeat("long/", 30) + "x", Mode: 0o7777, ModTime: time.Unix(1, 1), Format: tar.FormatPAX}, "x"))
	f.Add(entry(tar.Header{Typeflag: tar.TypeReg, Name: strings.Repeat("long/", 30) + "x", Format: tar.FormatUSTAR}, "x"))
	f.Add(symlink("a", "b"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		raw = repaired(raw)
		h, rest, err := parseHeader(raw)
		if err != nil {
			if !errors.Is(err, archive.ErrCorrupt) {
				t.Fatal(err)
			}
			return
		}
		if h.size < 0 || h.size > int64(len(rest)) || h.kind == kindFile && strings.HasSuffix(h.name, "/") {
			return // refused by who uses it
		}
		r := tar.NewReader(bytes.NewReader(raw))
		want, err := r.Next()
		if err != nil {
			t.Fatalf("Go cannot read what was read as %+v: %v", h, err)
		}
		content, err := io.ReadAll(r)
		if err != nil || !bytes.Equal(content, rest[:h.size]) {
			t.Fatalf("Go reads content %q (%v), and not %q", content, err, rest[:h.size])
		}
		got := tar.Header{Typeflag: h.kind, Name: h.name, Linkname: h.link, Mode: int64(h.perm), Size: h.size, ModTime: time.Unix(0, h.mtime)}
		if want.Typeflag != got.Typeflag || want.Name != got.Name || want.Linkname != got.Linkname || want.Mode&0o777 != got.Mode || want.Size != got.Size || !want.ModTime.Equal(got.ModTime) {
			t.Fatalf("Go reads %+v, and not %+v", want, got)
		}
	})
}
