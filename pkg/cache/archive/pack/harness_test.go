package pack

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/klauspost/compress/zstd"
	"go.uber.org/goleak"

	"github.com/runnerd/runnerd/pkg/cache/archive"
	"github.com/runnerd/runnerd/pkg/cache/archive/tree"
	"github.com/runnerd/runnerd/pkg/confine"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A memory is a Sink that keeps what it gets.
type memory struct {
	mu       sync.Mutex
	segments map[int][]byte
	before   func(n int) error // unless nil: called in Put of segment n
}

func (m *memory) Put(_ context.Context, n int, body []byte, sum [32]byte) error {
	if m.before != nil {
		if err := m.before(n); err != nil {
			return err
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	switch _, ok := m.segments[n]; {
	case ok:
		return fmt.Errorf("segment %d is stored twice", n)
	case sha256.Sum256(body) != sum:
		return fmt.Errorf("segment %d has another sum than said", n)
	case m.segments == nil:
		m.segments = map[int][]byte{}
	}
	m.segments[n] = bytes.Clone(body)
	return nil
}

// layer returns the segments one after the other.
func (m *memory) layer(t *testing.T) []byte {
	t.Helper()
	var all []byte
	for n := range len(m.segments) {
		s, ok := m.segments[n]
		if !ok {
			t.Fatalf("segment %d of %d is missing", n, len(m.segments))
		}
		all = append(all, s...)
	}
	return all
}

// walk returns what is below dir, sorted, as a listing does.
func walk(t *testing.T, dir string) []tree.Entry {
	t.Helper()
	var entries []tree.Entry
	seen := map[uint64]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		st := info.Sys().(*syscall.Stat_t)
		e := tree.Entry{Path: name, Stat: tree.Stat{
			Kind: tree.File, Perm: uint16(info.Mode().Perm()), Size: st.Size,
			MTime: st.Mtim.Nano(), CTime: st.Ctim.Nano(), Inode: st.Ino,
		}}
		switch {
		case d.IsDir():
			e.Kind, e.Size = tree.Dir, 0
		case info.Mode()&fs.ModeSymlink != 0:
			e.Kind = tree.Symlink
			e.Target, err = os.Readlink(path)
		default:
			e.Link = seen[st.Ino]
			seen[st.Ino] = name
		}
		entries = append(entries, e)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(entries, func(a, b tree.Entry) int { return strings.Compare(a.Path, b.Path) })
	return entries
}

func root(t testing.TB, dir string) *confine.Root {
	t.Helper()
	r, err := confine.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

// An item is what a reader of tar makes of an entry.
type item struct {
	Type    byte
	Perm    int64
	MTime   int64 // ns; only of files
	Target  string
	Content [32]byte
}

// untar reads a layer as any program would: zstd, then tar.
func untar(t *testing.T, layer []byte) map[string]item {
	t.Helper()
	z, err := zstd.NewReader(bytes.NewReader(layer))
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	items := map[string]item{}
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return items
		}
		if err != nil {
			t.Fatalf("after %d entries: %v", len(items), err)
		}
		content, err := io.ReadAll(r)
		if err != nil {
			t.Fatalf("%q: %v", h.Name, err)
		}
		if h.Uid != 0 || h.Gid != 0 || h.Uname != "" || h.Gname != "" || h.Mode&^0o777 != 0 {
			t.Errorf("%q has owner %d:%d %q:%q and mode %o", h.Name, h.Uid, h.Gid, h.Uname, h.Gname, h.Mode)
		}
		if _, ok := items[h.Name]; ok {
			t.Errorf("%q is there twice", h.Name)
		}
		items[h.Name] = item{Type: h.Typeflag, Perm: h.Mode, MTime: h.ModTime.UnixNano(), Target: h.Linkname, Content: sha256.Sum256(content)}
	}
}

// expect returns what untar has to return for the entries in dir.
func expect(t *testing.T, dir string, entries []tree.Entry) map[string]item {
	t.Helper()
	items := map[string]item{}
	for _, e := range entries {
		i := item{Perm: int64(e.Perm), MTime: e.MTime, Content: sha256.Sum256(nil)}
		name := e.Path
		switch {
		case e.Kind == tree.Dir:
			i.Type = tar.TypeDir
			name += "/"
		case e.Kind == tree.Symlink:
			i.Type, i.Target = tar.TypeSymlink, e.Target
		case e.Link != "":
			i.Type, i.Target = tar.TypeLink, e.Link
		default:
			content, err := os.ReadFile(filepath.Join(dir, e.Path))
			if err != nil {
				t.Fatal(err)
			}
			i.Type, i.Content = tar.TypeReg, sha256.Sum256(content)
		}
		items[name] = i
	}
	return items
}

// filler does not compress.
var filler = func() []byte {
	b := make([]byte, 16<<10)
	_, _ = rand.NewChaCha8([32]byte{}).Read(b) // it never fails
	return b
}()

// write makes a file with n bytes that no other file has. They compress well,
// so that the race detector does not make the encoder take minutes.
func write(t testing.TB, dir, name string, n int) {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	content := make([]byte, 0, n+len(filler)+len(name)+20)
	for i := 0; len(content) < n; i++ {
		content = append(fmt.Appendf(content, "%s %d ", name, i), filler...)
	}
	if err := os.WriteFile(path, content[:n], 0o644); err != nil {
		t.Fatal(err)
	}
}

// checkRecords checks that a layer is what package archive says of it.
func checkRecords(t *testing.T, m *memory, control archive.Control, want Result) {
	t.Helper()
	d, err := archive.NewDecoder(1)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	var records, raw int64
	var last archive.Announce
	for n := range len(m.segments) {
		if got := int64(len(m.segments[n])); got != want.Segments[n].Bytes || sha256.Sum256(m.segments[n]) != want.Segments[n].Sum {
			t.Errorf("segment %d has %d bytes, the result says %d or another sum", n, got, want.Segments[n].Bytes)
		}
		for rest := m.segments[n]; len(rest) > 0; records++ {
			var body []byte
			if last, body, rest, err = archive.Next(rest); err != nil {
				t.Fatalf("segment %d: %v", n, err)
			}
			content, err := d.Decode(nil, last, body)
			if err != nil {
				t.Fatalf("segment %d: %v", n, err)
			}
			if isFirst := n == 0 && records == 0; isFirst != (last.Kind == archive.KindControl) {
				t.Errorf("record %d is a %v", records, last.Kind)
			} else if isFirst {
				control.Version = archive.Version
				if c, err := archive.DecodeControl(content); err != nil || fmt.Sprint(c) != fmt.Sprint(control) {
					t.Errorf("control is %v (%v), want %v", c, err, control)
				}
			} else if last.Kind != archive.KindEnd {
				raw += int64(len(content))
			}
		}
	}
	if last.Kind != archive.KindEnd || int64(last.Ordinal) != records-1 || int64(last.Offset) != raw || want.Raw != raw {
		t.Errorf("last record is %v with %d records and %d bytes; there are %d and %d; the result says %d", last.Kind, last.Ordinal, last.Offset, records-1, raw, want.Raw)
	}
}
