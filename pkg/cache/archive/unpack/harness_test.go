package unpack

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/runnerd/runnerd/pkg/cache/archive"
	"github.com/runnerd/runnerd/pkg/confine"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A memory is a Source that has its segments at hand.
type memory [][]byte

func (m memory) Get(_ context.Context, n int, into []byte) error {
	copy(into, m[n])
	return nil
}

// A builder makes layers, right or wrong.
type builder struct {
	encoder  *archive.Encoder
	segments [][]byte
	segment  []byte
	records  int
	raw      int64
	entries  int
}

func newBuilder(t testing.TB, control archive.Control) *builder {
	t.Helper()
	encoder, err := archive.NewEncoder(archive.Fastest, 1)
	if err != nil {
		t.Fatal(err)
	}
	b := &builder{encoder: encoder}
	control.Version = archive.Version
	raw, err := control.Encode()
	if err != nil {
		t.Fatal(err)
	}
	b.put(archive.Announce{Kind: archive.KindControl}, raw)
	b.raw = 0
	return b
}

func (b *builder) put(a archive.Announce, raw []byte) {
	b.segment = b.encoder.Append(b.segment, a, raw)
	b.records++
	b.raw += int64(len(raw))
}

// add puts a record of whole entries.
func (b *builder) add(entries ...[]byte) {
	b.entries += len(entries)
	b.put(archive.Announce{Kind: archive.KindEntries}, bytes.Join(entries, nil))
}

// cut ends the segment.
func (b *builder) cut() {
	b.segments = append(b.segments, b.segment)
	b.segment = nil
}

// layer ends the layer.
func (b *builder) layer() Layer {
	records, raw := b.records, b.raw
	b.put(archive.Announce{Kind: archive.KindEnd, Ordinal: uint32(records), Offset: uint64(raw)}, make([]byte, 2*blockBytes))
	b.cut()
	return layerOf(b.segments, raw, b.entries)
}

func layerOf(segments [][]byte, raw int64, entries int) Layer {
	l := Layer{Source: memory(segments), Raw: raw, Entries: entries}
	for _, s := range segments {
		l.Segments = append(l.Segments, archive.Segment{Bytes: int64(len(s)), Sum: sha256.Sum256(s)})
	}
	return l
}

// large puts a large file's records, one for each piece of leaves, and calls
// between before each but the first.
func (b *builder) large(ordinal uint32, h tar.Header, content []byte, leaves int, between func()) {
	h.Size = int64(len(content))
	head := header512(h)
	size := leaves * archive.LeafBytes
	b.entries++
	for offset := 0; offset < len(content); offset += size {
		piece := content[offset:min(offset+size, len(content))]
		if offset+len(piece) == len(content) {
			piece = append(bytes.Clone(piece), make([]byte, padding(h.Size))...)
		}
		if offset == 0 {
			b.put(archive.Announce{Kind: archive.KindHead, Ordinal: ordinal}, append(head, piece...))
			continue
		}
		between()
		b.put(archive.Announce{Kind: archive.KindCont, Ordinal: ordinal, Offset: uint64(offset)}, piece)
	}
}

// header512 returns the bytes of a header alone.
func header512(h tar.Header) []byte {
	if h.Mode == 0 {
		h.Mode = 0o644
	}
	var b bytes.Buffer
	if err := tar.NewWriter(&b).WriteHeader(&h); err != nil {
		panic(err)
	}
	return b.Bytes()
}

// entry returns the bytes of an entry.
func entry(h tar.Header, content string) []byte {
	h.Size = int64(len(content))
	b := append(header512(h), content...)
	return append(b, make([]byte, padding(h.Size))...)
}

func file(name, content string) []byte {
	return entry(tar.Header{Typeflag: tar.TypeReg, Name: name}, content)
}

func link(name, target string) []byte {
	return entry(tar.Header{Typeflag: tar.TypeLink, Name: name, Linkname: target}, "")
}

func symlink(name, target string) []byte {
	return entry(tar.Header{Typeflag: tar.TypeSymlink, Name: name, Linkname: target}, "")
}

func folder(name string, mode int64) []byte {
	return entry(tar.Header{Typeflag: tar.TypeDir, Name: name + "/", Mode: mode}, "")
}

func options() Options {
	return Options{Workers: 2, Gets: 3, Refuse: []string{".git"}, UID: -1, GID: -1}
}

// restoreInto restores and returns what Layers does.
func restoreInto(t testing.TB, dir string, base Layer, delta *Layer, o Options) (Stats, error) {
	t.Helper()
	root := openRoot(t, dir)
	_, stats, err := Layers(context.Background(), root, base, delta, o)
	return stats, err
}

func openRoot(t testing.TB, dir string) *confine.Root {
	t.Helper()
	root, err := confine.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := root.Close(); err != nil {
			t.Error(err)
		}
	})
	return root
}

// digest describes all that is below dir: type, permissions, mtime, inode,
// content or target. The inode is there only if it has to be the very same file.
func digest(t testing.TB, dir string, exact bool) map[string]string {
	t.Helper()
	list := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		info, err := os.Lstat(path)
		if err != nil {
			return err
		}
		text := fmt.Sprintf("%v mtime %d", info.Mode(), info.ModTime().UnixNano())
		if exact {
			text += fmt.Sprintf(" inode %d", info.Sys().(*syscall.Stat_t).Ino)
		}
		switch {
		case info.Mode().IsRegular():
			content, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			text += fmt.Sprintf(" links %d size %d sum %x", info.Sys().(*syscall.Stat_t).Nlink, len(content), sha256.Sum256(content))
		case info.Mode()&fs.ModeSymlink != 0:
			target, err := os.Readlink(path)
			if err != nil {
				return err
			}
			text += " -> " + target
		}
		list[strings.TrimPrefix(path, dir+"/")] = text
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// write makes a file, and the folders that it is in.
func write(t testing.TB, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

// A site is a project directory with things in it, and things next to it that
// nothing may touch.
type site struct{ top, project string }

func newSite(t testing.TB) site {
	t.Helper()
	top := t.TempDir()
	s := site{top: top, project: filepath.Join(top, "project")}
	write(t, top+"/outside/secret", "secret")
	write(t, s.project+"/README", "readme")
	write(t, s.project+"/vendor/.gitkeep", "")
	write(t, s.project+"/vendor/old", "old")
	write(t, s.project+"/src/deep/main.c", "main")
	write(t, s.project+"/.git/config", "config")
	for link, target := range map[string]string{"out": "../outside", "dangling": "nowhere", "vendor/link": "../README"} {
		if err := os.Symlink(target, filepath.Join(s.project, link)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(s.project+"/vendor", 0o750); err != nil {
		t.Fatal(err)
	}
	return s
}

// refuses checks that a restore fails with want and that nothing has changed.
func (s site) refuses(t *testing.T, base Layer, delta *Layer, o Options, want error) {
	t.Helper()
	before := digest(t, s.top, true)
	_, err := restoreInto(t, s.project, base, delta, o)
	if err == nil || want != nil && !errors.Is(err, want) {
		t.Errorf("Layers returns %v, want %v", err, want)
	}
	t.Logf("Layers returns %v", err)
	delete(before, "project") // its mtime is that of the last change
	after := digest(t, s.top, true)
	delete(after, "project")
	if diff := cmp.Diff(before, after); diff != "" {
		t.Errorf("something has changed, after %v (-before +after):\n%s", err, diff)
	}
}
