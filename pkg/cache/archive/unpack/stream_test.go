package unpack

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/runnerd/runnerd/pkg/cache/archive"
	"github.com/runnerd/runnerd/pkg/cache/archive/tree"
)

const leaf = archive.LeafBytes

// noise returns bytes that do not compress.
func noise(n int) []byte {
	random := rand.NewChaCha8([32]byte{1})
	b := make([]byte, n)
	random.Read(b)
	return b
}

// Layers whose bytes are as they were stored, and which are wrong all the same.
func TestCorruptLayers(t *testing.T) {
	big := tar.Header{Typeflag: tar.TypeReg, Name: "big"}
	cont := func(b *builder, ordinal uint32, offset uint64, raw []byte) {
		b.put(archive.Announce{Kind: archive.KindCont, Ordinal: ordinal, Offset: offset}, raw)
	}
	head := func(b *builder, size int64, piece []byte) {
		h := big
		h.Size = size
		b.entries++
		b.put(archive.Announce{Kind: archive.KindHead}, append(header512(h), piece...))
	}
	tests := []struct {
		name  string
		build func(b *builder)
		layer func(l *Layer)
		want  error
	}{
		{name: "no segments", layer: func(l *Layer) { l.Segments = nil }},
		{name: "end is missing", build: func(b *builder) { b.cut() }, layer: func(l *Layer) { l.Segments = l.Segments[:1] }},
		{name: "a segment is missing", build: func(b *builder) { b.cut(); b.add(file("c", "")); b.cut() }, layer: func(l *Layer) {
			l.Source, l.Segments = memory{l.Source.(memory)[0], l.Source.(memory)[2]}, append(l.Segments[:1], l.Segments[2])
		}},
		{name: "second control", build: func(b *builder) { b.put(archive.Announce{Kind: archive.KindControl}, []byte(`{"version":1}`)) }},
		{name: "delta in the place of a base", build: func(b *builder) { *b = *newBuilder(t, archive.Control{Delta: true}) }},
		{name: "end twice", build: func(b *builder) { b.put(archive.Announce{Kind: archive.KindEnd}, nil) }},
		{name: "end counts more records", build: func(b *builder) { b.records++ }},
		{name: "end counts fewer bytes", build: func(b *builder) { b.raw-- }},
		{name: "head says more bytes", layer: func(l *Layer) { l.Raw++ }},
		{name: "head says fewer bytes", layer: func(l *Layer) { l.Raw-- }},
		{name: "head says more entries", layer: func(l *Layer) { l.Entries++ }},
		{name: "head says fewer entries", layer: func(l *Layer) { l.Entries-- }},
		{name: "head says less than nothing", layer: func(l *Layer) { l.Raw = -1 }},
		{name: "something behind the end", build: func(b *builder) { b.layer(); b.add(file("c", "")) }},
		{name: "content in the end", build: func(b *builder) {
			b.put(archive.Announce{Kind: archive.KindEnd, Ordinal: 2, Offset: uint64(b.raw)}, []byte("x"))
			b.cut()
		}, layer: func(l *Layer) { *l = layerOf(l.Source.(memory)[:1], l.Raw-1, l.Entries) }},
		{name: "segment of 1 GiB", layer: func(l *Layer) { l.Segments[0].Bytes = 1 << 30 }},
		{name: "segment of no bytes", layer: func(l *Layer) { l.Segments[0].Bytes = 0 }},
		{name: "too many bytes", want: ErrTooLarge, layer: func(l *Layer) { l.Raw = 1 << 40 }},
		{name: "too many entries", want: ErrTooLarge, layer: func(l *Layer) { l.Entries = 1 << 30 }},
		{name: "too many whiteouts", want: ErrTooLarge, build: func(b *builder) {
			*b = *newBuilder(t, archive.Control{Whiteouts: strings.Split(strings.Repeat("x ", 2000), " ")})
		}},

		{name: "piece without a head", build: func(b *builder) { cont(b, 0, leaf, noise(leaf)) }},
		{name: "more pieces without a head than buffers", build: func(b *builder) {
			for range 20 {
				b.cut()
				cont(b, 7, leaf, noise(10))
			}
		}},
		{name: "70000 records", build: func(b *builder) {
			for range 70_000 {
				b.put(archive.Announce{Kind: archive.KindEntries}, nil)
			}
		}},
		{name: "two heads with one number", build: func(b *builder) {
			head(b, 2*leaf, noise(leaf))
			big.Name = "other"
			head(b, 2*leaf, noise(leaf))
			big.Name = "big"
		}},
		{name: "piece is missing", build: func(b *builder) { head(b, 3*leaf, noise(leaf)); cont(b, 0, 2*leaf, noise(leaf)) }},
		{name: "piece is there twice", build: func(b *builder) {
			head(b, 3*leaf, noise(leaf))
			cont(b, 0, leaf, noise(leaf))
			cont(b, 0, leaf, noise(leaf))
		}},
		{name: "pieces overlap", build: func(b *builder) { head(b, 3*leaf, noise(2*leaf)); cont(b, 0, leaf, noise(2*leaf)) }},
		{name: "piece at the end", build: func(b *builder) { head(b, 2*leaf, noise(leaf)); cont(b, 0, 2*leaf, noise(leaf)) }},
		{name: "piece at 1<<63", build: func(b *builder) { head(b, 2*leaf, noise(leaf)); cont(b, 0, 1<<63, noise(leaf)) }},
		{name: "piece between leaves", build: func(b *builder) { head(b, 2*leaf, noise(leaf)); cont(b, 0, leaf+1, noise(leaf-1)) }},
		{name: "piece beyond the end", build: func(b *builder) { head(b, 2*leaf, noise(leaf)); cont(b, 0, leaf, noise(leaf+512)) }},
		{name: "piece of half a leaf", build: func(b *builder) { head(b, 2*leaf, noise(leaf)); cont(b, 0, leaf, noise(leaf/2)) }},
		{name: "piece without padding", build: func(b *builder) { head(b, leaf+1, noise(leaf)); cont(b, 0, leaf, noise(1)) }},
		{name: "head without content", build: func(b *builder) { head(b, 2*leaf, nil) }},
		{name: "head of an empty file", build: func(b *builder) { head(b, 0, nil) }},
		{name: "head of a folder", build: func(b *builder) { b.put(archive.Announce{Kind: archive.KindHead}, folder("d", 0o755)) }},
		{name: "head larger than the layer", build: func(b *builder) { head(b, 1<<34, noise(leaf)) }},
		{name: "heads larger than the layer", build: func(b *builder) {
			for i := range uint32(3) {
				h := tar.Header{Typeflag: tar.TypeReg, Name: fmt.Sprint(i), Size: 3 * leaf}
				b.entries++
				b.put(archive.Announce{Kind: archive.KindHead, Ordinal: i}, append(header512(h), noise(leaf)...))
			}
		}},
		{name: "head of an unsafe file", want: ErrUnsafe, build: func(b *builder) {
			b.large(0, tar.Header{Typeflag: tar.TypeReg, Name: "../big"}, noise(3*leaf), 1, func() {})
		}},
		{name: "large file twice", want: ErrUnsafe, build: func(b *builder) {
			b.large(0, big, noise(2*leaf), 1, func() {})
			b.large(1, big, noise(2*leaf), 1, func() {})
		}},
		{name: "300 large files are mixed", build: func(b *builder) {
			for i := range uint32(300) {
				h := tar.Header{Typeflag: tar.TypeReg, Name: fmt.Sprint(i), Size: 2 * leaf}
				b.entries++
				b.put(archive.Announce{Kind: archive.KindHead, Ordinal: i}, append(header512(h), make([]byte, leaf)...))
			}
			for i := range uint32(300) {
				cont(b, i, leaf, make([]byte, leaf))
			}
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := newBuilder(t, archive.Control{})
			b.add(file("vendor/old", "new"), file("fine", "fine"), file("filler", string(make([]byte, 4*leaf))))
			if tt.build != nil {
				tt.build(b)
			}
			l := b.layer()
			if tt.layer != nil {
				tt.layer(&l)
			}
			if tt.want == nil {
				tt.want = archive.ErrCorrupt
			}
			o := options()
			o.MaxRaw, o.MaxEntries = 1<<32, 1000
			newSite(t).refuses(t, l, nil, o, tt.want)
		})
	}
}

// A record that says to be small, and is not.
func TestZeroBomb(t *testing.T) {
	b := newBuilder(t, archive.Control{})
	b.add(file("a", strings.Repeat("\x00", 8<<20)))
	body := bytes.Clone(b.segment)
	at := bytes.LastIndex(body, []byte{0x57, 0x2a, 0x4d, 0x18})
	body[at+12], body[at+13], body[at+14] = 0, 4, 0 // raw: 1 KiB
	b.segment = body
	b.raw = 1 << 10
	newSite(t).refuses(t, b.layer(), nil, options(), archive.ErrCorrupt)
}

// One flipped byte is found, wherever it is: by the segment's sum, and, if
// whoever changed it has made that fit, by the format itself.
func TestFlippedBytes(t *testing.T) {
	b := newBuilder(t, archive.Control{})
	b.add(folder("vendor", 0o755), file("vendor/old", string(noise(20_000))), file("b", strings.Repeat("text ", 1000)), symlink("c", "b"))
	b.cut()
	b.large(0, tar.Header{Typeflag: tar.TypeReg, Name: "big"}, append(make([]byte, 2*leaf), noise(20_000)...), 1, b.cut)
	good := b.layer()
	s := newSite(t)
	before := digest(t, s.project, true)
	root := openRoot(t, s.project)
	want := t.TempDir()
	if _, err := restoreInto(t, want, good, nil, options()); err != nil {
		t.Fatal(err)
	}
	wanted := digest(t, want, false)
	for n, segment := range b.segments {
		for at := 0; at < len(segment); at += 101 {
			bad := memory(append([][]byte(nil), b.segments...))
			bad[n] = bytes.Clone(segment)
			bad[n][at] ^= 0x10
			l := Layer{Source: bad, Segments: append([]archive.Segment(nil), good.Segments...), Raw: good.Raw, Entries: good.Entries}
			if _, _, err := Layers(context.Background(), root, l, nil, options()); !errors.Is(err, archive.ErrCorrupt) {
				t.Fatalf("byte %d of segment %d is flipped: Layers returns %v", at, n, err)
			}
			l.Segments[n].Sum = sha256.Sum256(bad[n])
			dir := t.TempDir()
			_, err := restoreInto(t, dir, l, nil, options())
			got := digest(t, dir, false)
			switch {
			case err == nil: // zstd has more than one way to write something
				if diff := cmp.Diff(wanted, got); diff != "" {
					t.Fatalf("byte %d of segment %d is flipped (-want +got):\n%s", at, n, diff)
				}
			case !errors.Is(err, archive.ErrCorrupt) || len(got) > 0:
				t.Fatalf("byte %d of segment %d is flipped, and the sum fits: Layers returns %v, and %d files are there", at, n, err, len(got))
			}
		}
	}
	if diff := cmp.Diff(before, digest(t, s.project, true)); diff != "" {
		t.Errorf("something has changed (-before +after):\n%s", diff)
	}
}

// A backwards Source answers no Get before the segments behind it have been
// asked for, as far as that is possible, and then the last one first.
type backwards struct {
	memory
	mu      sync.Mutex
	waiting []chan struct{}
	batch   int
	left    int
}

func (b *backwards) Get(ctx context.Context, n int, into []byte) error {
	b.mu.Lock()
	mine := make(chan struct{})
	b.waiting = append(b.waiting, mine)
	b.left--
	if len(b.waiting) == b.batch || b.left == 0 {
		// Each one lets the one before it go when it has its bytes.
		close(b.waiting[len(b.waiting)-1])
		b.waiting = b.waiting[:len(b.waiting)-1]
	}
	b.mu.Unlock()
	select {
	case <-mine:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	err := b.memory.Get(ctx, n, into)
	b.mu.Lock()
	defer b.mu.Unlock()
	if k := len(b.waiting); k > 0 {
		close(b.waiting[k-1])
		b.waiting = b.waiting[:k-1]
	}
	return err
}

// Pieces of large files come before their heads, and are put together.
func TestOrderDoesNotMatter(t *testing.T) {
	b := newBuilder(t, archive.Control{})
	contents := map[string][]byte{}
	for i := range uint32(6) {
		name := fmt.Sprint("large", i)
		content := append(noise(leaf*int(i+1)), byte(i))
		if i == 3 {
			content = make([]byte, 9*leaf+7) // a hole but for its ends
			content[0], content[9*leaf+6] = 1, 1
		}
		contents[name] = content
		b.large(i, tar.Header{Typeflag: tar.TypeReg, Name: name}, content, 1, b.cut)
		b.add(file(fmt.Sprint("small", i), "x"))
	}
	good := b.layer()
	for _, workers := range []int{1, 3} {
		for _, gets := range []int{1, 2, 5, 50} {
			t.Run(fmt.Sprint(workers, " workers, ", gets, " gets"), func(t *testing.T) {
				l := good
				l.Source = &backwards{memory: good.Source.(memory), batch: min(gets, len(good.Segments)), left: len(good.Segments)}
				o := options()
				o.Workers, o.Gets = workers, gets
				dir := t.TempDir()
				root := openRoot(t, dir)
				if _, _, err := Layers(context.Background(), root, l, nil, o); err != nil {
					t.Fatal(err)
				}
				got := digest(t, dir, false)
				for name, content := range contents {
					if want := fmt.Sprintf("size %d sum %x", len(content), sha256.Sum256(content)); !strings.Contains(got[name], want) {
						t.Errorf("%s is %q, want %q", name, got[name], want)
					}
				}
				st, err := root.Cursor().Lstat("large3")
				if err != nil || st.Blocks*512 > 3*sparseBytes {
					t.Errorf("large3 takes %d bytes (%v), want a hole", st.Blocks*512, err)
				}
			})
		}
	}
}

// What a record knows of contents is what tree computes of them itself.
func TestSums(t *testing.T) {
	b := newBuilder(t, archive.Control{})
	b.add(file("small", "x"), file("empty", ""), file("two leaves", string(noise(leaf+1))))
	b.large(0, tar.Header{Typeflag: tar.TypeReg, Name: "big"}, noise(5*leaf+9), 2, func() {})
	b.large(1, tar.Header{Typeflag: tar.TypeReg, Name: "one leaf"}, noise(leaf), 1, func() {})
	root := openRoot(t, t.TempDir())
	record, _, err := Layers(context.Background(), root, b.layer(), nil, options())
	if err != nil {
		t.Fatal(err)
	}
	// Without a Settle all contents are compared.
	listing, err := tree.Collect(context.Background(), root, tree.Selection{Patterns: []string{"*"}, ProjectDir: root.Dir()})
	if err != nil {
		t.Fatal(err)
	}
	changes, err := record.Compare(context.Background(), root, listing, 2)
	if err != nil {
		t.Fatal(err)
	}
	if len(changes.Entries) != 0 || changes.Changed+changes.Added+changes.Deleted != 0 || len(listing.Entries) != 5 {
		t.Errorf("changes of %d entries: %+v, want none of 5", len(listing.Entries), changes)
	}
}
