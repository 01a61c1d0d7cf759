package confine_test

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/runnerd/runnerd/pkg/confine"
)

// open returns a Cursor below dir.
func open(t testing.TB, dir string) *confine.Cursor {
	t.Helper()
	root, err := confine.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	c := root.Cursor()
	t.Cleanup(func() {
		_ = c.Close()
		if err := root.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func write(t testing.TB, c *confine.Cursor, name, content string) {
	t.Helper()
	f, err := c.Create(name, 0o644)
	must(t, err)
	_, err = io.WriteString(f, content)
	must(t, errors.Join(err, f.Close()))
}

func read(t testing.TB, c *confine.Cursor, name string) string {
	t.Helper()
	f, st, err := c.Open(name)
	must(t, err)
	defer f.Close()
	content, err := io.ReadAll(f)
	must(t, err)
	if int64(len(content)) != st.Size {
		t.Errorf("%q has %d bytes, its stat says %d", name, len(content), st.Size)
	}
	return string(content)
}

func TestFilesGoWhereTheirPathsSay(t *testing.T) {
	dir := t.TempDir()
	c := open(t, dir)
	paths := []string{"a", "b/a", "b/c/d/e", "b/c/d/f", "b/c/g", "b/cc/d", "bb/c", "b/c/d/e2", "z\xff\n", "b\xfe/x"}
	for _, name := range paths {
		if d := filepath.Dir(name); d != "." {
			must(t, c.MkdirAll(d, 0o755, nil))
		}
		write(t, c, name, "content of "+name)
	}
	for _, name := range slices.Backward(paths) {
		content, err := os.ReadFile(filepath.Join(dir, name))
		if want := "content of " + name; err != nil || string(content) != want || read(t, c, name) != want {
			t.Errorf("%q = %q, %v, want %q", name, content, err, want)
		}
	}
}

func TestMkdirAllTellsWhatItMakes(t *testing.T) {
	dir := t.TempDir()
	c := open(t, dir)
	must(t, os.Mkdir(filepath.Join(dir, "a"), 0o755))
	var made []string
	note := func(path string) { made = append(made, path) }
	for _, name := range []string{"a/b/c", "a/b/c", "a/b", "a/b/d/e"} {
		must(t, c.MkdirAll(name, 0o700, note))
	}
	if diff := cmp.Diff([]string{"a/b", "a/b/c", "a/b/d", "a/b/d/e"}, made); diff != "" {
		t.Errorf("made (-want +got):\n%s", diff)
	}
	if st, err := c.Lstat("a/b/d"); err != nil || st.Mode != unix.S_IFDIR|0o700 {
		t.Errorf("a/b/d has mode %o, %v", st.Mode, err)
	}
}

func TestALongPathIsNoLimitOfTheKernel(t *testing.T) {
	dir := filepath.Join(t.TempDir(), strings.Repeat("r", 200), strings.Repeat("r", 200))
	must(t, os.MkdirAll(dir, 0o755))
	c := open(t, dir)
	folder := strings.TrimSuffix(strings.Repeat(strings.Repeat("x", 250)+"/", 16), "/")
	must(t, c.MkdirAll(folder, 0o755, nil))
	name := folder + "/" + strings.Repeat("y", 60)
	write(t, c, name, "deep")
	if got := read(t, c, name); got != "deep" || len(name) < 4000 {
		t.Errorf("a file at %d bytes of path = %q", len(name), got)
	}
}

// Every method, with a path that leads through, or ends at, something that must
// not be followed.
func TestNothingFollowsASymlink(t *testing.T) {
	outside := t.TempDir()
	must(t, os.Mkdir(filepath.Join(outside, "d"), 0o755))
	must(t, os.WriteFile(filepath.Join(outside, "f"), []byte("secret"), 0o600))
	dir := t.TempDir()
	must(t, os.MkdirAll(filepath.Join(dir, "in"), 0o755))
	must(t, os.WriteFile(filepath.Join(dir, "in", "f"), nil, 0o644))
	for name, target := range map[string]string{"link": outside, "up": "..", "in/link": outside, "file": filepath.Join(outside, "f"), "dangling": filepath.Join(outside, "new")} {
		must(t, os.Symlink(target, filepath.Join(dir, name)))
	}
	must(t, unix.Mkfifo(filepath.Join(dir, "pipe"), 0o644))
	before := snapshot(t, outside)
	c := open(t, dir)

	calls := map[string]func(name string) error{
		"Open":      func(name string) error { _, _, err := c.Open(name); return err },
		"Lstat":     func(name string) error { _, err := c.Lstat(name); return err },
		"Readlink":  func(name string) error { _, err := c.Readlink(name); return err },
		"ReadDir":   func(name string) error { _, err := c.ReadDir(nil, name); return err },
		"MkdirAll":  func(name string) error { return c.MkdirAll(name, 0o755, nil) },
		"Create":    func(name string) error { _, err := c.Create(name, 0o644); return err },
		"Symlink":   func(name string) error { return c.Symlink("x", name) },
		"LinkFrom":  func(name string) error { return c.Link(name, "new") },
		"LinkTo":    func(name string) error { return c.Link("in/f", name) },
		"Rename":    func(name string) error { return c.Rename("in/f", name) },
		"RenameOut": func(name string) error { return c.Rename(name, "new") },
		"Remove":    func(name string) error { return c.Remove(name) },
		"RemoveDir": func(name string) error { return c.RemoveDir(name) },
		"ChmodDir":  func(name string) error { return c.ChmodDir(name, 0o777) },
		"SetMTime":  func(name string) error { return c.SetMTime(name, 1) },
		"Lchown":    func(name string) error { return c.Lchown(name, 1, 1) },
	}
	for op, call := range calls {
		for through, name := range map[string]string{"link/f": "link", "link/d/x": "link", "up/x": "up", "in/link/f": "in/link", "in/link/new": "in/link", "file/x": "file", "dangling/x": "dangling", "pipe/x": "pipe"} {
			var blocked *confine.InTheWayError
			err := call(through)
			if !errors.As(err, &blocked) || blocked.Path != name || !errors.Is(err, unix.ENOTDIR) {
				t.Errorf("%s(%q) = %v, want that %q is in the way", op, through, err, name)
			}
		}
		for _, name := range []string{"../x", "/etc/passwd", "in/../../x", "", "in/."} {
			if err := call(name); !errors.Is(err, confine.ErrPath) {
				t.Errorf("%s(%q) = %v, want an ErrPath", op, name, err)
			}
		}
	}
	for _, op := range []string{"Open", "ReadDir", "MkdirAll", "Create", "Symlink", "LinkTo", "RemoveDir", "ChmodDir"} {
		for _, name := range []string{"link", "file", "dangling", "pipe"} {
			if err := calls[op](name); err == nil {
				t.Errorf("%s(%q) has done something with what is there", op, name)
			}
		}
	}
	for _, op := range []string{"SetMTime", "Lchown", "Lstat"} { // to the link itself
		if err := calls[op]("file"); err != nil && !errors.Is(err, unix.EPERM) {
			t.Errorf("%s of a symlink: %v", op, err)
		}
	}
	must(t, c.Rename("in/f", "file")) // replaces the link
	must(t, c.Remove("link"))
	if diff := cmp.Diff(before, snapshot(t, outside)); diff != "" {
		t.Errorf("outside has changed (-before +after):\n%s", diff)
	}
}

// snapshot tells all that can be told of a tree: names, modes, owners, times, sizes.
func snapshot(t testing.TB, dir string) []string {
	t.Helper()
	var list []string
	must(t, filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		var st unix.Stat_t
		if err := errors.Join(err, unix.Lstat(path, &st)); err != nil {
			return err
		}
		list = append(list, fmt.Sprintf("%s %o %d:%d %d links %d bytes %v", path, st.Mode, st.Uid, st.Gid, st.Nlink, st.Size, st.Mtim))
		return nil
	}))
	return list
}

func TestOpenTakesOnlyRegularFiles(t *testing.T) {
	dir := t.TempDir()
	c := open(t, dir)
	must(t, c.MkdirAll("folder", 0o755, nil))
	must(t, unix.Mkfifo(filepath.Join(dir, "pipe"), 0o644))
	must(t, c.Symlink("folder", "link"))
	for name, want := range map[string]error{"folder": confine.ErrNotRegular, "pipe": confine.ErrNotRegular, "link": unix.ELOOP, "none": fs.ErrNotExist, "none/x": fs.ErrNotExist} {
		if _, _, err := c.Open(name); !errors.Is(err, want) {
			t.Errorf("Open(%q) = %v, want %v", name, err, want)
		}
	}
}

func TestCreateNeverOpensWhatIsThere(t *testing.T) {
	dir := t.TempDir()
	c := open(t, dir)
	write(t, c, "file", "old")
	must(t, c.Symlink(filepath.Join(dir, "elsewhere"), "dangling"))
	must(t, c.MkdirAll("folder", 0o755, nil))
	for _, name := range []string{"file", "dangling", "folder"} {
		if _, err := c.Create(name, 0o644); !errors.Is(err, fs.ErrExist) {
			t.Errorf("Create(%q) = %v, want that it exists", name, err)
		}
	}
	if got := read(t, c, "file"); got != "old" {
		t.Errorf("the file is %q now", got)
	}
	if _, err := c.Lstat("elsewhere"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the link was followed: %v", err)
	}
}

func TestReadDir(t *testing.T) {
	dir := t.TempDir()
	c := open(t, dir)
	want := []confine.DirEntry{{Name: "folder", Type: unix.DT_DIR}, {Name: "link", Type: unix.DT_LNK}, {Name: "pipe", Type: unix.DT_FIFO}}
	must(t, c.MkdirAll("d/folder", 0o755, nil))
	must(t, c.Symlink("x", "d/link"))
	must(t, unix.Mkfifo(filepath.Join(dir, "d/pipe"), 0o644))
	for i := range 1200 { // more than one buffer
		name := fmt.Sprintf("x%04d%s", i, strings.Repeat("n", 20))
		want = append(want, confine.DirEntry{Name: name, Type: unix.DT_REG})
		write(t, c, "d/"+name, "")
	}
	for range 2 { // the second time on a handle that has been read
		got, err := c.ReadDir(nil, "d")
		must(t, err)
		slices.SortFunc(got, func(a, b confine.DirEntry) int { return strings.Compare(a.Name, b.Name) })
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("entries (-want +got):\n%s", diff)
		}
	}
	got, err := c.ReadDir(nil, ".")
	if diff := cmp.Diff([]confine.DirEntry{{Name: "d", Type: unix.DT_DIR}}, got); diff != "" || err != nil {
		t.Errorf("the root: %v (-want +got):\n%s", err, diff)
	}
}

func TestAttributes(t *testing.T) {
	const ns = 1_234_567_890_123_456_789
	c := open(t, t.TempDir())
	must(t, c.MkdirAll("d/e", 0o755, nil))
	f, err := c.Create("d/f", 0o600)
	must(t, err)
	_, err = f.WriteAt([]byte("end"), 1<<20)
	must(t, errors.Join(err, f.Truncate(1<<20+2), f.Chmod(0o741), f.SetMTime(ns), f.Chown(-1, -1), f.Close()))
	must(t, c.Link("d/f", "d/e/g"))
	must(t, c.Symlink("nowhere", "d/l"))
	must(t, c.SetMTime("d/l", ns))
	must(t, c.Lchown("d/l", os.Getuid(), os.Getgid()))
	must(t, c.ChmodDir("d", 0o750))
	must(t, c.SetMTime("d", -ns))
	tests := []struct {
		name  string
		mode  uint32
		size  int64
		mtime int64
	}{
		{"d/f", unix.S_IFREG | 0o741, 1<<20 + 2, ns},
		{"d/e/g", unix.S_IFREG | 0o741, 1<<20 + 2, ns},
		{"d/l", unix.S_IFLNK | 0o777, 7, ns},
		{"d", unix.S_IFDIR | 0o750, 0, -ns},
	}
	for _, tt := range tests {
		st, err := c.Lstat(tt.name)
		must(t, err)
		if st.Mode != tt.mode || (tt.size > 0 && st.Size != tt.size) || st.Mtim.Nano() != tt.mtime {
			t.Errorf("%s: mode %o, %d bytes, mtime %d, want %o, %d, %d", tt.name, st.Mode, st.Size, st.Mtim.Nano(), tt.mode, tt.size, tt.mtime)
		}
	}
	if target, err := c.Readlink("d/l"); err != nil || target != "nowhere" {
		t.Errorf("link to %q, %v", target, err)
	}
	tail := make([]byte, 8)
	f, _, err = c.Open("d/e/g")
	must(t, err)
	defer f.Close()
	if n, err := f.ReadAt(tail, 1<<20); n != 2 || !errors.Is(err, io.EOF) || string(tail[:n]) != "en" {
		t.Errorf("the end of the file is %q, %v", tail[:n], err)
	}
}

// What a Cursor itself moves or removes it does not use any more.
func TestRenamedFolderIsLeft(t *testing.T) {
	c := open(t, t.TempDir())
	must(t, c.MkdirAll("a/b", 0o755, nil))
	write(t, c, "a/b/old", "old")
	must(t, c.Rename("a", "aside"))
	must(t, c.MkdirAll("a/b", 0o755, nil))
	write(t, c, "a/b/new", "new")
	if got := read(t, c, "aside/b/old"); got != "old" {
		t.Errorf("aside/b/old = %q", got)
	}
	if list, err := c.ReadDir(nil, "aside/b"); len(list) != 1 || err != nil {
		t.Errorf("the folder moved aside holds %v, %v", list, err)
	}
	must(t, c.Remove("a/b/new"))
	must(t, c.RemoveDir("a/b"))
	must(t, c.MkdirAll("a/b", 0o755, nil))
	write(t, c, "a/b/new", "newer")
	if got := read(t, c, "a/b/new"); got != "newer" {
		t.Errorf("a/b/new = %q", got)
	}
}

// A long target does not fit into the first buffer.
func TestReadlinkOfALongTarget(t *testing.T) {
	c := open(t, t.TempDir())
	want := strings.Repeat("t/", 2000)
	must(t, c.Symlink(want, "l"))
	if got, err := c.Readlink("l"); got != want || err != nil {
		t.Errorf("Readlink = %d bytes, %v, want %d", len(got), err, len(want))
	}
}

func TestHandlesDoNotPileUp(t *testing.T) {
	dir := t.TempDir()
	c := open(t, dir)
	deep := strings.TrimSuffix(strings.Repeat("d/", confine.MaxDepth), "/")
	must(t, c.MkdirAll(deep, 0o755, nil))
	must(t, c.MkdirAll("x/y", 0o755, nil))
	before := handles(t)
	for range 100 {
		_, err := c.Lstat(deep)
		must(t, err)
		must(t, c.Rename("x/y", "x/z"))
		must(t, c.Rename("x/z", "x/y"))
	}
	if _, err := c.Lstat("x/y"); err != nil {
		t.Fatal(err)
	}
	if after := handles(t); after > before+1 { // one for the other path of Rename
		t.Errorf("%d handles before, %d after", before, after)
	}
	_ = c.Close()
	if after := handles(t); after > before-2 {
		t.Errorf("%d handles before, %d after Close", before, after)
	}
}

func handles(t *testing.T) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	must(t, err)
	return len(list)
}
