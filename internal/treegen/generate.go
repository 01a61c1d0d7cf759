// Package treegen makes folder trees for tests and benchmarks of the cache: the
// same ones every time, in the shape of a project's installed packages.
package treegen

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Totals say what is in a tree.
type Totals struct {
	Files, Dirs, Symlinks int
	Bytes                 int64
}

// The shape at scale 1: 20,148 files, 5,819 folders, 208 symlinks, 498 MB.
const (
	smallFiles  = 20000
	packages    = 831
	mediumFiles = 200
	largeFiles  = 4
	largeBytes  = 56 << 20
	maxSmall    = 256 << 10
	median      = 1900
	sigma       = 1.66 // of the logarithm of a small file's size
)

// epoch is the time of the oldest file; the others come behind it.
var epoch = time.Date(2026, 1, 2, 3, 4, 5, 678901234, time.UTC)

// A generator makes one tree.
type generator struct {
	dir    string
	random *rand.Rand
	text   *texter
	count  Totals
	clock  time.Time
	err    error // the first; it sticks
}

// Generate makes the tree of seed in dir, which must not exist. Scale is the
// share of small and medium files to make, and of the bytes of the large ones.
func Generate(dir string, seed uint64, scale float64) (Totals, error) {
	random := rand.New(rand.NewPCG(seed, 1))
	g := &generator{dir: dir, random: random, text: newTexter(random), clock: epoch}
	g.mkdir("")
	license := g.text.make(1080)
	scaled := func(n int) int { return max(1, int(math.Round(float64(n)*scale))) }
	packs := scaled(packages)
	for p := range packs {
		g.pack(p, scaled(smallFiles)/packs, license)
	}
	for i := range scaled(mediumFiles) {
		size := maxSmall + g.random.IntN(1<<20-maxSmall)
		g.file(fmt.Sprintf("medium/m%03d.bin", i), g.content(size, i%4 == 0), 0o644)
	}
	for i := range largeFiles {
		g.file(fmt.Sprintf("large/l%d.dat", i), g.content(int(largeBytes*scale), i >= largeFiles/2), 0o644)
	}
	return g.count, g.err
}

// folders of each package.
var folders = []string{"", "lib", "dist", "src", "test", "lib/util", "dist/esm"}

// pack makes a package of n files or so.
func (g *generator) pack(number, n int, license []byte) {
	name := fmt.Sprintf("pkg%04d", number)
	g.file(name+"/package.json", fmt.Appendf(nil, "{\n  \"name\": %q,\n  \"version\": \"1.%d.%d\",\n  \"main\": \"lib/index.js\"\n}\n", name, number%17, number%5), 0o644)
	g.file(name+"/LICENSE", license, 0o644)
	for i := range max(0, n-2) {
		size := min(int(median*math.Exp(sigma*g.random.NormFloat64())), maxSmall)
		perm := os.FileMode(0o644)
		if g.random.IntN(50) == 0 {
			perm = 0o755
		}
		g.file(filepath.Join(name, folders[i%len(folders)], fmt.Sprintf("f%d.js", i)), g.content(size, false), perm)
	}
	if number%4 == 0 {
		target := "../lib/f1.js"
		if number%16 == 0 {
			target = "../gone/nothing.js"
		}
		g.symlink(filepath.Join(name, "dist", "link.js"), target)
	}
}

func (g *generator) content(size int, noise bool) []byte {
	if !noise {
		return g.text.make(size)
	}
	b := make([]byte, size)
	for i := 0; i < len(b); i += 8 {
		v := g.random.Uint64()
		for j := i; j < min(i+8, len(b)); j++ {
			b[j] = byte(v)
			v >>= 8
		}
	}
	return b
}

func (g *generator) mkdir(name string) {
	path := filepath.Join(g.dir, name)
	if _, err := os.Lstat(path); g.err != nil || err == nil {
		return
	}
	if name != "" {
		g.mkdir(strings.TrimPrefix(strings.TrimSuffix(filepath.Dir(name), "."), "/"))
		g.count.Dirs++
	}
	g.keep(os.Mkdir(path, 0o755))
}

func (g *generator) file(name string, content []byte, perm os.FileMode) {
	g.mkdir(filepath.Dir(name))
	path := filepath.Join(g.dir, name)
	g.keep(os.WriteFile(path, content, perm))
	g.clock = g.clock.Add(time.Duration(1+g.random.IntN(1e6)) * time.Nanosecond)
	g.keep(os.Chtimes(path, g.clock, g.clock))
	g.count.Files++
	g.count.Bytes += int64(len(content))
}

func (g *generator) symlink(name, target string) {
	g.mkdir(filepath.Dir(name))
	g.keep(os.Symlink(target, filepath.Join(g.dir, name)))
	g.count.Symlinks++
}

func (g *generator) keep(err error) {
	if g.err == nil {
		g.err = err
	}
}
