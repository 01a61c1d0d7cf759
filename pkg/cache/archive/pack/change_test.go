package pack

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/runnerd/runnerd/pkg/cache/archive"
	"github.com/runnerd/runnerd/pkg/cache/archive/tree"
)

// Layer is held up when it stores the control record: one record is a segment,
// and only one is in memory. By then it has read a few frames, "aaa" for sure,
// "target" and what comes later in "zlarge" not yet.
func TestChangeWhileReading(t *testing.T) {
	edit := func(change func(path string) error) func(string) error {
		return func(dir string) error { return change(filepath.Join(dir, "target")) }
	}
	large := func(change func(path string) error) func(string) error {
		return func(dir string) error { return change(filepath.Join(dir, "zlarge")) }
	}
	truncate := func(size int64) func(string) error {
		return func(path string) error { return os.Truncate(path, size) }
	}
	overwrite := func(path string) error { // same size, and then same mtime
		info, err := os.Stat(path)
		if err != nil {
			return err
		}
		f, err := os.OpenFile(path, os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		_, err = f.WriteAt([]byte("!"), 5)
		return errors.Join(err, f.Close(), os.Chtimes(path, time.Time{}, info.ModTime()))
	}
	replace := func(with func(path string) error) func(string) error {
		return func(path string) error { return errors.Join(os.Remove(path), with(path)) }
	}
	tests := []struct {
		name     string
		change   func(dir string) error
		delta    bool
		dirty    string
		vanished int
	}{
		{name: "nothing", change: func(string) error { return nil }},
		{name: "shorter", change: edit(truncate(10)), dirty: "target"},
		{name: "empty", change: edit(truncate(0)), dirty: "target"},
		{name: "longer", change: edit(truncate(5000)), dirty: "target"},
		{name: "same size and time, other content", change: edit(overwrite), dirty: "target"},
		{name: "gone", change: edit(os.Remove), vanished: 1},
		{name: "gone, in a delta", change: edit(os.Remove), delta: true, dirty: "target"},
		{name: "gone with its folder", change: func(dir string) error { return os.RemoveAll(filepath.Join(dir, "sub")) }, vanished: 2},
		{name: "gone, and others are links to it", change: func(dir string) error { return os.Remove(filepath.Join(dir, "linked")) }, dirty: "linked"},
		{name: "a symlink now", change: edit(replace(func(path string) error { return os.Symlink("aaa", path) })), dirty: "target"},
		{name: "a folder now", change: edit(replace(func(path string) error { return os.Mkdir(path, 0o755) })), dirty: "target"},
		{name: "another file now", change: edit(func(path string) error {
			return errors.Join(os.WriteFile(path+".new", make([]byte, 3000), 0o644), os.Rename(path+".new", path))
		}), dirty: "target"},
		{name: "its folder is a symlink now", change: func(dir string) error {
			sub := filepath.Join(dir, "sub")
			return errors.Join(os.Rename(sub, sub+".old"), os.Symlink("sub.old", sub))
		}, dirty: "sub/a"},
		{name: "its folder is another one with the same file", change: func(dir string) error {
			sub := filepath.Join(dir, "sub")
			return errors.Join(os.Rename(sub, sub+".old"), os.Mkdir(sub, 0o755), os.Rename(sub+".old/a", sub+"/a"), os.Rename(sub+".old/b", sub+"/b"))
		}, dirty: "sub/a"}, // rename changes the ctime

		{name: "large, shorter", change: large(truncate(7 * mib)), dirty: "zlarge"},
		{name: "large, longer", change: large(truncate(9 * mib)), dirty: "zlarge"},
		{name: "large, other content", change: large(overwrite), dirty: "zlarge"},
		{name: "large, gone", change: large(os.Remove), vanished: 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			for i := range 12 {
				write(t, dir, fmt.Sprintf("aaa%02d", i), mib)
			}
			write(t, dir, "linked", 1000)
			write(t, dir, "sub/a", 1000)
			write(t, dir, "sub/b", 1000)
			write(t, dir, "target", 3000)
			write(t, dir, "zlarge", 8*mib)
			if err := os.Link(filepath.Join(dir, "linked"), filepath.Join(dir, "zz")); err != nil {
				t.Fatal(err)
			}
			entries := walk(t, dir)
			m := memory{before: func(n int) error {
				if n == 0 {
					return tt.change(dir)
				}
				return nil
			}}
			o := Options{Workers: 2, Uploads: 1, FrameBytes: mib, SegmentBytes: func(int) int64 { return 1 }}
			control := archive.Control{Delta: tt.delta}
			result, err := Layer(t.Context(), root(t, dir), entries, control, &m, o)
			if err != nil || result.Dirty != tt.dirty || result.Vanished != tt.vanished {
				t.Fatalf("dirty %q, %d vanished (%v); want %q, %d", result.Dirty, result.Vanished, err, tt.dirty, tt.vanished)
			}
			if tt.dirty != "" {
				return
			}
			if result.Entries != len(entries)-tt.vanished {
				t.Errorf("%d entries of %d, %d vanished", result.Entries, len(entries), tt.vanished)
			}
			checkRecords(t, &m, control, result)
			if got := len(untar(t, m.layer(t))); got != result.Entries {
				t.Errorf("tar has %d entries, the result says %d", got, result.Entries)
			}
		})
	}
}

// A large file changes when some of its pieces have been stored.
func TestChangeBetweenPieces(t *testing.T) {
	for name, change := range map[string]func(path string) error{
		"shorter": func(path string) error { return os.Truncate(path, 19*mib) },
		"longer":  func(path string) error { return os.Truncate(path, 21*mib) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			write(t, dir, "large", 20*mib)
			m := memory{before: func(n int) error {
				if n == 5 {
					return change(filepath.Join(dir, "large"))
				}
				return nil
			}}
			o := Options{Workers: 2, Uploads: 1, FrameBytes: mib, SegmentBytes: func(int) int64 { return 1 }}
			result, err := Layer(t.Context(), root(t, dir), walk(t, dir), archive.Control{}, &m, o)
			if err != nil || result.Dirty != "large" {
				t.Errorf("dirty %q (%v), want the file", result.Dirty, err)
			}
		})
	}
}

// What a large file was when it was opened is read to the end, even if it has
// been removed meanwhile: all of it is one content.
func TestLargeFileRemovedBetweenPieces(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "large", 20*mib)
	entries := walk(t, dir)
	m := memory{before: func(n int) error {
		if n == 5 {
			return os.Remove(filepath.Join(dir, "large"))
		}
		return nil
	}}
	o := Options{Workers: 2, Uploads: 1, FrameBytes: mib, SegmentBytes: func(int) int64 { return 1 }}
	// Removing a file changes its ctime, so this, too, is a change.
	if result, err := Layer(t.Context(), root(t, dir), entries, archive.Control{}, &m, o); err != nil || result.Dirty != "large" {
		t.Errorf("dirty %q (%v), want the file", result.Dirty, err)
	}
}

// In a delta, the file that a hard link is a link to may be in the base.
func TestLinkWithoutItsTarget(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "a", 3000)
	if err := os.Link(filepath.Join(dir, "a"), filepath.Join(dir, "b")); err != nil {
		t.Fatal(err)
	}
	entries := walk(t, dir)
	if entries[1].Link != "a" {
		t.Fatalf("entry %+v is no link", entries[1])
	}
	var m memory
	if _, err := Layer(t.Context(), root(t, dir), entries[1:], archive.Control{Delta: true}, &m, Options{}); err != nil {
		t.Fatal(err)
	}
	file := entries[1]
	file.Link = ""
	want := expect(t, dir, []tree.Entry{file})
	if got := untar(t, m.layer(t)); got["b"] != want["b"] {
		t.Errorf("b is %+v, want %+v", got["b"], want["b"])
	}
	if entries[1].Link != "a" {
		t.Error("the caller's entry has changed")
	}
}

func TestUnreadable(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "a", 10)
	entries := walk(t, dir)
	entries[0].Path = "../a"
	if result, err := Layer(t.Context(), root(t, dir), entries, archive.Control{}, &memory{}, Options{}); err == nil {
		t.Errorf("a path that leads outside is packed: %+v", result)
	}
}
