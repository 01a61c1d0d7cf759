package unpack

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/runnerd/runnerd/pkg/cache/archive"
	"github.com/runnerd/runnerd/pkg/cache/archive/pack"
	"github.com/runnerd/runnerd/pkg/cache/archive/tree"
	"github.com/runnerd/runnerd/pkg/confine"
)

// A shelf is a Sink that becomes a Source.
type shelf struct {
	mu       sync.Mutex
	segments map[int][]byte
}

func (s *shelf) Put(_ context.Context, n int, body []byte, _ [32]byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.segments == nil {
		s.segments = map[int][]byte{}
	}
	s.segments[n] = bytes.Clone(body)
	return nil
}

func (s *shelf) Get(_ context.Context, n int, into []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	copy(into, s.segments[n])
	return nil
}

// packed makes a layer of entries.
func packed(t testing.TB, root *confine.Root, entries []tree.Entry, control archive.Control, o pack.Options) Layer {
	t.Helper()
	s := &shelf{}
	control.Version = archive.Version
	result, err := pack.Layer(context.Background(), root, entries, control, s, o)
	if err != nil || result.Dirty != "" {
		t.Fatalf("pack: %v, %q has changed", err, result.Dirty)
	}
	return Layer{Source: s, Segments: result.Segments, Raw: result.Raw, Entries: result.Entries}
}

// small are sizes with which even small trees have several segments.
func small() pack.Options {
	return pack.Options{Workers: 2, Uploads: 2, FrameBytes: leaf, SegmentBytes: func(int) int64 { return leaf / 2 }}
}

func listing(t testing.TB, root *confine.Root) *tree.Listing {
	t.Helper()
	l, err := tree.Collect(context.Background(), root, tree.Selection{Patterns: []string{"c"}, ProjectDir: root.Dir()})
	if err != nil || len(l.Warnings) > 0 {
		t.Fatal(err, l.Warnings)
	}
	return l
}

// A gardener changes a tree at random.
type gardener struct {
	t      *testing.T
	dir    string
	random *rand.Rand
}

func (g *gardener) name() string {
	name := "c"
	for range 1 + g.random.IntN(4) {
		name += fmt.Sprintf("/%c", 'a'+g.random.IntN(5))
	}
	return name
}

func (g *gardener) must(err error) {
	if err != nil {
		g.t.Helper()
		g.t.Fatal(err)
	}
}

// plant puts something new to a random place, whatever was there.
func (g *gardener) plant() {
	path := filepath.Join(g.dir, g.name())
	for end := len(g.dir) + 1; end < len(path); end++ {
		if info, err := os.Lstat(path[:end]); path[end] == '/' && err == nil && !info.IsDir() {
			g.must(os.Remove(path[:end]))
		}
	}
	g.must(os.RemoveAll(path))
	g.must(os.MkdirAll(filepath.Dir(path), 0o755))
	switch kind := g.random.IntN(12); kind {
	case 0:
		g.must(os.Symlink(g.name(), path))
	case 1:
		g.must(os.Mkdir(path, 0o755))
	case 2:
		g.link(path)
	default:
		g.must(os.WriteFile(path, g.content(kind), 0o644))
		g.must(os.Chmod(path, []os.FileMode{0o644, 0o755, 0o600, 0o444}[g.random.IntN(4)]))
		if kind == 5 {
			when := time.Unix(g.random.Int64N(1<<31), g.random.Int64N(1e9))
			g.must(os.Chtimes(path, when, when))
		}
	}
}

// link makes path another name of a file that is there.
func (g *gardener) link(path string) {
	var files []string
	g.must(filepath.WalkDir(g.dir, func(p string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			files = append(files, p)
		}
		return err
	}))
	if len(files) > 0 {
		g.must(os.Link(files[g.random.IntN(len(files))], path))
	}
}

func (g *gardener) content(kind int) []byte {
	size := g.random.IntN(3000)
	if kind == 3 {
		size = g.random.IntN(4 * leaf)
	}
	b := make([]byte, size)
	for i := range b {
		b[i] = byte(g.random.IntN(4)) * byte(i>>17&1) // long runs of zeros in large ones
	}
	return b
}

// Random trees come back as they were; and after random changes, base and delta
// together do. A delta that is made after a restore of base and delta does, too.
func TestRoundTrip(t *testing.T) {
	for seed := range uint64(6) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			g := &gardener{t: t, dir: t.TempDir(), random: rand.New(rand.NewPCG(seed, 0))}
			for range 100 {
				g.plant()
			}
			g.must(os.Mkdir(g.dir+"/c/Z", 0o750))
			write(t, g.dir+"/c/Z/large", string(noise(3*leaf+1)))
			root := openRoot(t, g.dir)
			base := packed(t, root, listing(t, root).Entries, archive.Control{}, small())
			var delta *Layer
			for round := range 3 {
				root = openRoot(t, t.TempDir())
				record, _, err := Layers(context.Background(), root, base, delta, options())
				g.must(err)
				want, got := digest(t, g.dir, false), digest(t, root.Dir(), false)
				if round > 0 { // a delta does not say when a folder was changed
					withoutFolderTimes(want)
					withoutFolderTimes(got)
				}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Fatalf("restored tree differs (-want +got):\n%s", diff)
				}
				g.dir = root.Dir()
				if seed%2 == 0 {
					g.must(record.Settle(context.Background(), root))
				}
				for range 8 {
					g.plant()
				}
				changes, err := record.Compare(context.Background(), root, listing(t, root), 2)
				g.must(err)
				l := packed(t, root, changes.Entries, archive.Control{Delta: true, Whiteouts: changes.Whiteouts}, small())
				delta = &l
			}
		})
	}
}

func withoutFolderTimes(digest map[string]string) {
	for name, text := range digest {
		if text[0] == 'd' {
			digest[name], _, _ = strings.Cut(text, " ")
		}
	}
}

// A delta hides what it changes of the base, in every way.
func TestDelta(t *testing.T) {
	b := newBuilder(t, archive.Control{})
	b.add(folder("kept", 0o755), file("kept/a", "base"), file("kept/changed", "base"), file("gone/a", "base"), folder("gone/sub", 0o755), file("gone/sub/x", "base"),
		file("gonefile", "base"), file("tofolder", "base"), folder("tofile", 0o755), file("tofile/x", "base"), symlink("link", "base"),
		file("gonefile2", "not gone"), link("other", "kept/a"), folder("mode", 0o700), file("mode/x", "base"))
	b.large(0, tar.Header{Typeflag: tar.TypeReg, Name: "big"}, noise(3*leaf), 1, b.cut)
	b.large(1, tar.Header{Typeflag: tar.TypeReg, Name: "keptbig"}, noise(3*leaf), 1, b.cut)
	base := b.layer()
	d := newBuilder(t, archive.Control{Delta: true, Whiteouts: []string{"gone", "gonefile", "neverwas", "tofolder"}})
	d.add(file("kept/changed", "delta"), file("tofolder/x", "delta"), file("tofile", "delta"), file("link", "delta"), folder("mode", 0o500), file("big", "small"), file("gone2", "delta"))
	delta := d.layer()
	dir := t.TempDir()
	root := openRoot(t, dir)
	record, stats, err := Layers(context.Background(), root, base, &delta, options())
	if err != nil {
		t.Fatal(err)
	}
	var contents []string
	for name := range digest(t, dir, false) {
		text, _ := os.ReadFile(filepath.Join(dir, name))
		contents = append(contents, name+": "+string(text[:min(len(text), 8)]))
	}
	slices.Sort(contents)
	want := []string{
		"big: small", "gone2: delta", "gonefile2: not gone", "kept: ", "kept/a: base", "kept/changed: delta", "keptbig: " + string(noise(8)),
		"link: delta", "mode: ", "mode/x: base", "other: base", "tofile: delta", "tofolder: ", "tofolder/x: delta",
	}
	slices.Sort(want)
	if diff := cmp.Diff(want, contents); diff != "" {
		t.Errorf("the tree differs (-want +got):\n%s", diff)
	}
	if stats.Entries != 6+7 || stats.Superseded != 11 || stats.Raw != base.Raw+delta.Raw || stats.Replaced != 0 {
		t.Errorf("stats are %+v", stats)
	}
	all, err := tree.Collect(context.Background(), root, tree.Selection{Patterns: []string{"*"}, ProjectDir: dir})
	if err != nil {
		t.Fatal(err)
	}
	changes, err := record.Compare(context.Background(), root, all, 1)
	if err != nil {
		t.Fatal(err)
	}
	// What was in the delta is in the next one, too, and nothing else.
	var again []string
	for _, e := range changes.Entries {
		again = append(again, e.Path)
	}
	if diff := cmp.Diff([]string{"big", "gone2", "kept/changed", "link", "mode", "tofile", "tofolder", "tofolder/x"}, again); diff != "" {
		t.Errorf("the next delta differs (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"gone/a", "gone/sub", "gonefile", "tofile/x"}, changes.Whiteouts); diff != "" {
		t.Errorf("the next delta's whiteouts differ (-want +got):\n%s", diff)
	}
}

func TestHostileDeltas(t *testing.T) {
	base := newBuilder(t, archive.Control{})
	base.add(file("a/x", "base"), file("b", "base"), file("c", "base"))
	l := base.layer()
	linked := newBuilder(t, archive.Control{})
	linked.add(file("a", "base"), link("b", "a"))
	both := linked.layer()
	tests := []struct {
		name    string
		base    Layer
		control archive.Control
		entries [][]byte
		want    error
	}{
		{"not a delta", l, archive.Control{}, [][]byte{file("d", "")}, archive.ErrCorrupt},
		{"file of the base has something below", l, archive.Control{Delta: true}, [][]byte{file("b/x", "")}, ErrUnsafe},
		{"hard link to the base", l, archive.Control{Delta: true}, [][]byte{link("d", "b")}, ErrUnsafe},
		{"hard link of the base to the delta", both, archive.Control{Delta: true}, [][]byte{file("a", "")}, ErrUnsafe},
		{"hard link of the base to what is gone", both, archive.Control{Delta: true, Whiteouts: []string{"a"}}, [][]byte{file("d", "")}, ErrUnsafe},
		{"goes up", l, archive.Control{Delta: true}, [][]byte{file("../d", "")}, ErrUnsafe},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := newBuilder(t, tt.control)
			b.add(tt.entries...)
			delta := b.layer()
			newSite(t).refuses(t, tt.base, &delta, options(), tt.want)
		})
	}
}
