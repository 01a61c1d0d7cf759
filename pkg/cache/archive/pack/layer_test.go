package pack

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/runnerd/runnerd/pkg/cache/archive"
	"github.com/runnerd/runnerd/pkg/cache/archive/tree"
)

const mib = 1 << 20

// trees are folders with what is worth a look.
var trees = []struct {
	name string
	make func(t *testing.T, dir string)
}{
	{name: "nothing", make: func(*testing.T, string) {}},
	{name: "only folders", make: func(t *testing.T, dir string) {
		for i := range 30 {
			if err := os.MkdirAll(filepath.Join(dir, fmt.Sprint("d", i%3), fmt.Sprint(i)), 0o750); err != nil {
				t.Fatal(err)
			}
		}
	}},
	{name: "sizes around all borders", make: func(t *testing.T, dir string) {
		for _, n := range []int{
			0, 1, 511, 512, 513, mib, 4*mib - 4096, 4*mib - 513, 4*mib - 512, 4*mib - 1, 4 * mib, 4*mib + 1,
			4*mib + 511, 4*mib + 512, 5 * mib, 8*mib - 1, 8 * mib, 8*mib + 1, 13*mib + 77,
		} {
			write(t, dir, fmt.Sprintf("f%010d", n), n)
		}
	}},
	{name: "many files", make: func(t *testing.T, dir string) {
		for i := range 1000 {
			write(t, dir, fmt.Sprintf("p%d/src/%d.js", i/100, i), i*7%5000)
		}
	}},
	{name: "zeros and holes", make: func(t *testing.T, dir string) {
		for name, size := range map[string]int64{"small": 70_000, "large": 21*mib + 3} {
			f, err := os.Create(filepath.Join(dir, name))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := f.WriteAt([]byte("in the middle"), size/2); err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(f.Truncate(size), f.Close()); err != nil {
				t.Fatal(err)
			}
		}
	}},
	{name: "names", make: func(t *testing.T, dir string) {
		long := strings.Repeat("long/", 60) + strings.Repeat("x", 255)
		for _, name := range []string{
			"space and\ttab", "new\nline", "ümlaut", "not utf-8 \xff\xfe", "=equals=", strings.Repeat("n", 100),
			strings.Repeat("n", 101), "d/" + strings.Repeat("n", 255), long, "-rf", "trailing ",
		} {
			write(t, dir, name, 100)
		}
		for link, target := range map[string]string{
			"link": "space and\ttab", "dangling": "nowhere", "absolute": "/etc/passwd", "far": "../../../x",
			"binary": "\xff", "longlink": long, "d/self": "self",
		} {
			if err := os.Symlink(target, filepath.Join(dir, link)); err != nil {
				t.Fatal(err)
			}
		}
	}},
	{name: "modes and times", make: func(t *testing.T, dir string) {
		for i, mode := range []os.FileMode{0, 0o400, 0o600, 0o644, 0o755, 0o777, 0o755 | os.ModeSetuid | os.ModeSticky} {
			name := filepath.Join(dir, fmt.Sprint("f", i))
			write(t, dir, fmt.Sprint("f", i), 10)
			when := []time.Time{
				time.Unix(0, 0), time.Unix(0, 1), time.Unix(1e9, 120_000_000), time.Unix(1e9, 999_999_999), time.Unix(-5, 500), time.Unix(1<<33+5, 7), time.Unix(1700000000, 0),
			}[i]
			if err := errors.Join(os.Chmod(name, mode), os.Chtimes(name, when, when)); err != nil {
				t.Fatal(err)
			}
		}
	}},
	{name: "hard links", make: func(t *testing.T, dir string) {
		write(t, dir, "a/first", 3000)
		write(t, dir, "a/large", 9*mib)
		for i := range 3 {
			for _, name := range []string{"first", "large"} {
				if err := os.Link(filepath.Join(dir, "a", name), filepath.Join(dir, fmt.Sprint("b", name, i))); err != nil {
					t.Fatal(err)
				}
			}
		}
	}},
}

func TestLayer(t *testing.T) {
	options := map[string]Options{
		"plain":  {},
		"wide":   {Workers: 4, Uploads: 4, FrameBytes: 4 * mib},
		"frugal": {Workers: 1, Uploads: 2, FrameBytes: 2 * mib},
		"tiny":   {Workers: 3, Uploads: 3, FrameBytes: 1, SegmentBytes: func(n int) int64 { return int64(n) * 1000 }, Level: archive.Default},
	}
	for _, tt := range trees {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			tt.make(t, dir)
			entries := walk(t, dir)
			want := expect(t, dir, entries)
			for name, o := range options {
				t.Run(name, func(t *testing.T) {
					var m memory
					result, err := Layer(t.Context(), root(t, dir), entries, archive.Control{}, &m, o)
					if err != nil || result.Dirty != "" || result.Vanished != 0 || result.Entries != len(entries) {
						t.Fatalf("Layer returns %d of %d entries, %d vanished, dirty %q (%v)", result.Entries, len(entries), result.Vanished, result.Dirty, err)
					}
					checkRecords(t, &m, archive.Control{}, result)
					if diff := cmp.Diff(want, untar(t, m.layer(t))); diff != "" {
						t.Errorf("entries differ (-want +got):\n%s", diff)
					}
				})
			}
		})
	}
}

// The programs that everybody has can read a layer.
func TestLayerIsTar(t *testing.T) {
	for _, program := range []string{"sh", "zstd", "tar"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Logf("without %s, TestLayer has to do", program)
			return
		}
	}
	for _, tt := range trees {
		t.Run(tt.name, func(t *testing.T) {
			dir, out := t.TempDir(), t.TempDir()
			tt.make(t, dir)
			entries := walk(t, dir)
			var m memory
			if _, err := Layer(t.Context(), root(t, dir), entries, archive.Control{Whiteouts: []string{"gone"}}, &m, Options{Workers: 2}); err != nil {
				t.Fatal(err)
			}
			cmd := exec.CommandContext(t.Context(), "sh", "-c", "set -e; zstd -d -c >layer.tar; mkdir out; tar -x -p -f layer.tar -C out")
			cmd.Dir, cmd.Stdin = out, bytes.NewReader(m.layer(t))
			if said, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, said)
			}
			want, got := plain(entries), plain(walk(t, filepath.Join(out, "out")))
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("tree differs (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(expect(t, dir, want), expect(t, filepath.Join(out, "out"), got)); diff != "" {
				t.Errorf("content differs (-want +got):\n%s", diff)
			}
		})
	}
}

// plain returns entries without what another tree cannot have, or tar does not
// set on anything but files.
func plain(entries []tree.Entry) []tree.Entry {
	var list []tree.Entry
	for _, e := range entries {
		e.CTime, e.Inode = 0, 0
		if e.Kind != tree.File {
			e.MTime = 0
		}
		list = append(list, e)
	}
	return list
}

func TestDeterminism(t *testing.T) {
	dir := t.TempDir()
	for i := range 400 {
		path := fmt.Sprintf("p%d/%d", i/20, i)
		write(t, dir, path, 0)
		text := []byte(strings.Repeat(fmt.Sprint("some text, ", i*i, "; "), i))
		if err := os.WriteFile(filepath.Join(dir, path), text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 10 {
		write(t, dir, fmt.Sprint("q", i), 700_000)
	}
	write(t, dir, "p7/large", 9*mib)
	entries := walk(t, dir)
	layer := func(o Options) map[int][]byte {
		var m memory
		o.FrameBytes = mib
		o.SegmentBytes = func(n int) int64 { return 1 << (16 + n) }
		if _, err := Layer(t.Context(), root(t, dir), entries, archive.Control{}, &m, o); err != nil {
			t.Fatal(err)
		}
		return m.segments
	}
	want := layer(Options{Workers: 1})
	if len(want) < 3 {
		t.Fatalf("only %d segments: this proves nothing", len(want))
	}
	for range 3 {
		if got := layer(Options{Workers: 4, Uploads: 3}); !maps.EqualFunc(want, got, bytes.Equal) {
			t.Error("four workers make other bytes than one")
		}
	}
}

func TestSegments(t *testing.T) {
	dir := t.TempDir()
	for i := range 12 {
		write(t, dir, fmt.Sprintf("f%02d", i), 3*mib)
	}
	entries := walk(t, dir)
	layer := func(o Options) (Result, error) {
		return Layer(t.Context(), root(t, dir), entries, archive.Control{}, &memory{}, o)
	}
	single, err := layer(Options{SegmentBytes: func(int) int64 { return 64 * mib }})
	if err != nil || len(single.Segments) != 1 {
		t.Fatalf("%d segments (%v), want one", len(single.Segments), err)
	}
	size := func(n int) int64 { return single.Bytes()/8 + int64(n) }
	many, err := layer(Options{Workers: 2, Uploads: 2, SegmentBytes: size})
	if err != nil || len(many.Segments) < 8 || many.Bytes() != single.Bytes() {
		t.Fatalf("%d segments of %d bytes (%v), want 8 at least of %d", len(many.Segments), many.Bytes(), err, single.Bytes())
	}
	for n, s := range many.Segments {
		if s.Bytes > size(n) {
			t.Errorf("segment %d has %d bytes, want %d at most", n, s.Bytes, size(n))
		}
	}
	if records, err := layer(Options{SegmentBytes: func(int) int64 { return 1 }}); err != nil || len(records.Segments) != 14 {
		t.Errorf("%d segments (%v), want one for each of 14 records", len(records.Segments), err)
	}

	t.Run("limits", func(t *testing.T) {
		fits := Options{Workers: 2, Uploads: 2, SegmentBytes: size, MaxBytes: many.Bytes(), MaxSegments: len(many.Segments)}
		if _, err := layer(fits); err != nil {
			t.Errorf("at the limit: %v", err)
		}
		bytes, segments := fits, fits
		bytes.MaxBytes--
		segments.MaxSegments--
		for _, o := range []Options{bytes, segments, {MaxBytes: 1}} {
			if _, err := layer(o); !errors.Is(err, ErrTooLarge) {
				t.Errorf("over a limit the error is %v, want %v", err, ErrTooLarge)
			}
		}
	})
}

func TestSinkFails(t *testing.T) {
	dir := t.TempDir()
	for i := range 6 {
		write(t, dir, fmt.Sprintf("f%02d", i), mib-1000)
	}
	write(t, dir, "large", 5*mib)
	entries := walk(t, dir)
	broken := errors.New("no store")
	for failing := range 13 {
		m := memory{before: func(n int) error {
			if n == failing {
				return broken
			}
			return nil
		}}
		o := Options{Workers: 2, Uploads: 2, FrameBytes: mib, SegmentBytes: func(int) int64 { return 1 }}
		if _, err := Layer(t.Context(), root(t, dir), entries, archive.Control{}, &m, o); !errors.Is(err, broken) {
			t.Errorf("segment %d fails, Layer returns %v, want %v", failing, err, broken)
		}
	}
}

func TestCancelled(t *testing.T) {
	dir := t.TempDir()
	for i := range 20 {
		write(t, dir, fmt.Sprintf("f%02d", i), mib)
	}
	entries := walk(t, dir)
	why := errors.New("the job was cancelled")
	for when := range 4 {
		ctx, cancel := context.WithCancelCause(t.Context())
		m := memory{before: func(n int) error {
			if n == when {
				cancel(why)
			}
			return nil
		}}
		_, err := Layer(ctx, root(t, dir), entries, archive.Control{}, &m, Options{Workers: 2, Uploads: 1, FrameBytes: mib, SegmentBytes: func(int) int64 { return 1 }})
		if !errors.Is(err, why) {
			t.Errorf("cancelled in segment %d, Layer returns %v, want %v", when, err, why)
		}
	}
}

func TestOptionsFor(t *testing.T) {
	tests := []struct {
		memory int64
		cpus   int
		want   Options
	}{
		{memory: 0, cpus: 1, want: Options{Workers: 1, Uploads: 4, FrameBytes: 4 * mib}},
		{memory: 0, cpus: 2, want: Options{Workers: 2, Uploads: 4, FrameBytes: 4 * mib}},
		{memory: 256 * mib, cpus: 4, want: Options{Workers: 4, Uploads: 6, FrameBytes: 4 * mib}},
		{memory: 1 << 40, cpus: 64, want: Options{Workers: 8, Uploads: 6, FrameBytes: 4 * mib}},
		{memory: 256*mib - 1, cpus: 64, want: Options{Workers: 1, Uploads: 2, FrameBytes: 2 * mib}},
	}
	for _, tt := range tests {
		if diff := cmp.Diff(tt.want, OptionsFor(tt.memory, tt.cpus)); diff != "" {
			t.Errorf("OptionsFor(%d, %d) differs (-want +got):\n%s", tt.memory, tt.cpus, diff)
		}
	}
}
