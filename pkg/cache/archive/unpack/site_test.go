package unpack

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/runnerd/runnerd/pkg/cache/archive"
)

// TestIntoATree restores over what is there: folders merge, all else makes way,
// and a symlink is never followed.
func TestIntoATree(t *testing.T) {
	s := newSite(t)
	outside := digest(t, s.top+"/outside", true)
	if err := os.Link(s.project+"/README", s.project+"/README2"); err != nil {
		t.Fatal(err)
	}
	b := newBuilder(t, archive.Control{})
	b.add(
		file("README", "a new inode, as another name has the old one"),
		file("out/secret", "in a folder, where a symlink was"),
		file("dangling", "where a dangling symlink was"),
		file("src/deep", "a file in a folder's place"),
		file("vendor/old/x", "in a folder, where a file was"),
		symlink("vendor/link", "../.."),
		folder("vendor", 0o700), folder("closed", 0o500), file("closed/a/b", ""),
		link("vendor/hard", "README"),
	)
	b.large(0, tar.Header{Typeflag: tar.TypeReg, Name: "vendor/.gitkeep"}, noise(leaf+1), 1, b.cut)
	stats, err := restoreInto(t, s.project, b.layer(), nil, options())
	if err != nil {
		t.Fatal(err)
	}
	if stats.Replaced != 7 || stats.Left != "" || stats.Entries != 11 {
		t.Errorf("stats are %+v, want 11 entries, and that 7 had to make way", stats)
	}
	got := digest(t, s.project, false)
	for name, want := range map[string]string{
		"README": "links 2 size 44", "README2": "links 1 size 6", "out": "drwx", "out/secret": "size 32", "dangling": "-rw",
		"src/deep": "-rw", "src": "drwx", "vendor/old/x": "-rw", "vendor/link": "-> ../..", "vendor": "drwx------", "closed": "dr-x------",
		"closed/a": "drwxr-xr-x", "closed/a/b": "size 0", "vendor/hard": "size 44", "vendor/.gitkeep": fmt.Sprint("size ", leaf+1),
		".git": "drwx", ".git/config": "-rw", "vendor/old": "drwx",
	} {
		if !strings.Contains(got[name], want) {
			t.Errorf("%s is %q, want %q", name, got[name], want)
		}
		delete(got, name)
	}
	if len(got) > 0 {
		t.Errorf("more is there: %v", got)
	}
	if diff := cmp.Diff(outside, digest(t, s.top+"/outside", true)); diff != "" {
		t.Errorf("something outside has changed (-before +after):\n%s", diff)
	}
}

// The same, and it fails in the end, when all is there already.
func TestUndo(t *testing.T) {
	s := newSite(t)
	b := newBuilder(t, archive.Control{})
	b.add(
		file("README", "new"), file("out/secret", "x"), file("dangling", "x"), file("src/deep", "x"), file("vendor/old/x/y", "x"),
		symlink("vendor/link", "../.."), folder("vendor", 0o500), folder("new", 0o500), file("new/a/b", ""), folder("new/a", 0),
		link("vendor/hard", "README"), file("vendor/.gitkeep", "x"),
	)
	l := b.layer()
	root := openRoot(t, s.project)
	before := digest(t, s.project, true)
	decoder, err := archive.NewDecoder(2)
	if err != nil {
		t.Fatal(err)
	}
	defer decoder.Close()
	r := newRestore(root, decoder, options())
	defer r.close()
	if err := r.run(context.Background(), l, nil); err != nil {
		t.Fatal(err)
	}
	if err := r.undo(); err != nil {
		t.Errorf("undo: %v", err)
	}
	if diff := cmp.Diff(before, digest(t, s.project, true)); diff != "" {
		t.Errorf("something has changed (-before +after):\n%s", diff)
	}
}

// What somebody else has put into a folder that the restore has made is not
// removed with it.
func TestUndoSaysWhatItCannot(t *testing.T) {
	s := newSite(t)
	b := newBuilder(t, archive.Control{})
	b.add(file("made/a", ""), file("README", ""))
	b.add(file("b", "")) // a worker takes this one when it is done with the other
	b.cut()
	l := b.layer()
	broken := errors.New("broken")
	l.Source = sourceFunc(func(ctx context.Context, n int, into []byte) error {
		if n == 1 {
			write(t, s.project+"/made/foreign", "")
			return broken
		}
		return memory(b.segments).Get(ctx, n, into)
	})
	o := options()
	o.Workers, o.Gets = 1, 1
	_, err := restoreInto(t, s.project, l, nil, o)
	if !errors.Is(err, broken) || !strings.Contains(err.Error(), "not all could be put back as it was: rmdir made: directory not empty") {
		t.Errorf("Layers returns %v", err)
	}
	got := digest(t, s.project, false)
	if got["made/foreign"] == "" || got["made/a"] != "" || got["b"] != "" || !strings.Contains(got["README"], "size 6") {
		t.Errorf("there is %v", got)
	}
}

func TestRefuse(t *testing.T) {
	tests := []struct {
		name     string
		declared []string
		refuse   []string
		entry    []byte
		want     error
	}{
		{name: "named", declared: []string{".git/lfs"}, entry: file(".git/lfs/x", "")},
		{name: "named with a dot", declared: []string{"./.git/lfs/"}, entry: file(".git/lfs/x", "")},
		{name: "named itself", declared: []string{".git"}, entry: file(".git/hooks/x", "")},
		{name: "named absolutely", declared: []string{"PROJECT/.git/lfs/**"}, entry: file(".git/lfs/x", "")},
		{name: "beside what is named", declared: []string{".git/lfs"}, entry: file(".git/hooks/x", ""), want: ErrUnsafe},
		{name: "begins like what is named", declared: []string{".git/lfs"}, entry: file(".git/lfsx", ""), want: ErrUnsafe},
		{name: "glob that would match", declared: []string{"*/hooks"}, entry: file(".git/hooks/x", ""), want: ErrUnsafe},
		{name: "everything", declared: []string{".", "**", "PROJECT"}, entry: file(".git/hooks/x", ""), want: ErrUnsafe},
		{name: "elsewhere", declared: []string{"/other/.git", "../.git"}, entry: file(".git/hooks/x", ""), want: ErrUnsafe},
		{name: "other letters", declared: []string{".git/lfs"}, entry: file(".git/LFS/x", ""), want: ErrUnsafe},
		{name: "below", refuse: []string{"a/b"}, entry: file("a/b/c", ""), want: ErrUnsafe},
		{name: "in its place", refuse: []string{"a/b"}, entry: file("a/b", ""), want: ErrUnsafe},
		{name: "above, not a folder", refuse: []string{"a/b"}, entry: symlink("a", "x"), want: ErrUnsafe},
		{name: "above", refuse: []string{"a/b"}, entry: folder("a", 0o700)},
		{name: "beside", refuse: []string{"a/b"}, entry: file("a/bc", "")},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			b := newBuilder(t, archive.Control{})
			b.add(tt.entry)
			o := options()
			o.Refuse = append(o.Refuse, tt.refuse...)
			for _, d := range tt.declared {
				o.Declared = append(o.Declared, strings.Replace(d, "PROJECT", dir, 1))
			}
			if _, err := restoreInto(t, dir, b.layer(), nil, o); !errors.Is(err, tt.want) {
				t.Errorf("Layers returns %v, want %v", err, tt.want)
			}
		})
	}
}

func TestAttributes(t *testing.T) {
	defer unix.Umask(unix.Umask(0o077))
	dir := t.TempDir()
	o := options()
	o.UID, o.GID = os.Getuid(), os.Getgid()
	if o.UID == 0 {
		o.UID, o.GID = 1234, 5678
	}
	when := time.Unix(1_600_000_000, 123_456_789)
	h := func(kind byte, name string, mode int64) tar.Header {
		return tar.Header{Typeflag: kind, Name: name, Mode: mode, ModTime: when, Format: tar.FormatPAX}
	}
	b := newBuilder(t, archive.Control{})
	for i, mode := range []int64{0o600, 0o644, 0o777, 0o444, 0o755, 0o006} {
		b.add(entry(h(tar.TypeReg, fmt.Sprint("file", i), mode), "x"))
	}
	b.add(entry(h(tar.TypeDir, "a/b/", 0o555), ""), entry(h(tar.TypeReg, "a/b/c", 0o644), ""), entry(h(tar.TypeDir, "a/", 0o770), ""))
	l := h(tar.TypeSymlink, "a/link", 0o777)
	l.Linkname = "b"
	b.add(entry(l, ""))
	b.large(0, h(tar.TypeReg, "large", 0o664), noise(leaf*2), 1, func() {})
	if _, err := restoreInto(t, dir, b.layer(), nil, o); err != nil {
		t.Fatal(err)
	}
	want := map[string]os.FileMode{
		"file0": 0o600, "file1": 0o644, "file2": 0o777, "file3": 0o444, "file4": 0o755, "file5": 0o006, "large": 0o664,
		"a": 0o770 | os.ModeDir, "a/b": 0o555 | os.ModeDir, "a/b/c": 0o644, "a/link": 0o777 | os.ModeSymlink,
	}
	for name, mode := range want {
		info, err := os.Lstat(dir + "/" + name)
		if err != nil {
			t.Error(err)
			continue
		}
		st := info.Sys().(*syscall.Stat_t)
		if info.Mode() != mode || !info.ModTime().Equal(when) || int(st.Uid) != o.UID || int(st.Gid) != o.GID {
			t.Errorf("%s has mode %v, mtime %v and owner %d:%d", name, info.Mode(), info.ModTime(), st.Uid, st.Gid)
		}
	}
}

func TestOptionsFor(t *testing.T) {
	if o := OptionsFor(128 << 20); o.Workers != 1 || o.Gets != 2 || o.MaxEntries != 1<<17 {
		t.Errorf("with little memory: %+v", o)
	}
	if o := OptionsFor(0); o.Workers < 1 || o.Workers > 8 || o.Gets != 6 || o.UID != -1 || o.GID != -1 || len(o.Refuse) == 0 || o.MaxRaw == 0 || o.MaxEntries == 0 {
		t.Errorf("without a limit: %+v", o)
	}
}
