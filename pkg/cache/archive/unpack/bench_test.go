package unpack

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/runnerd/runnerd/internal/treegen"
	"github.com/runnerd/runnerd/pkg/cache/archive"
	"github.com/runnerd/runnerd/pkg/cache/archive/pack"
)

// BenchmarkLayers restores the tree of the design into fresh directories of the
// temporary directory, which should be a tmpfs: set TMPDIR. On one ext4 the
// inodes of removed files slow down whatever comes next.
func BenchmarkLayers(b *testing.B) {
	dir := b.TempDir()
	if _, err := treegen.Generate(filepath.Join(dir, "c"), 1, 1); err != nil {
		b.Fatal(err)
	}
	root := openRoot(b, dir)
	o := pack.OptionsFor(0, 2)
	entries := listing(b, root).Entries
	base := packed(b, root, entries, archive.Control{}, o)
	delta := packed(b, root, entries[:len(entries)/100], archive.Control{Delta: true}, o)
	for _, bench := range []struct {
		name  string
		delta *Layer
	}{{"base", nil}, {"delta", &delta}} {
		for _, workers := range []int{1, 2} {
			b.Run(fmt.Sprint(bench.name, "/workers=", workers), func(b *testing.B) {
				o := OptionsFor(0)
				o.Workers = workers
				b.SetBytes(base.Raw)
				for b.Loop() {
					b.StopTimer()
					to, err := os.MkdirTemp(b.TempDir(), "")
					if err != nil {
						b.Fatal(err)
					}
					root := openRoot(b, to)
					b.StartTimer()
					if _, _, err := Layers(context.Background(), root, base, bench.delta, o); err != nil {
						b.Fatal(err)
					}
					b.StopTimer()
					if err := os.RemoveAll(to); err != nil {
						b.Fatal(err)
					}
					b.StartTimer()
				}
			})
		}
	}
}
