package tree_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/runnerd/runnerd/pkg/cache/archive/tree"
)

// packages makes 20,000 files in 5,000 folders, about as npm does.
func packages(b *testing.B) *project {
	p := newProject(b)
	content := strings.Repeat("module.exports = require('./lib');\n", 60)
	for i := range 1000 {
		for _, folder := range []string{"", "/lib", "/lib/internal", "/test", "/dist"} {
			for j := range 4 {
				p.write(fmt.Sprintf("node_modules/package-%03d%s/file%d.js", i, folder, j), content[:len(content)-i-j])
			}
		}
	}
	return p
}

func BenchmarkCollect(b *testing.B) {
	p := packages(b)
	for b.Loop() {
		if n := len(p.collect("node_modules").Entries); n != 25001 {
			b.Fatalf("%d entries", n)
		}
	}
}

func BenchmarkSettle(b *testing.B) {
	p := packages(b)
	record := p.recorded(p.collect("node_modules").Entries)
	for b.Loop() {
		must(b, record.Settle(context.Background(), p.root))
	}
}

func BenchmarkNewRecord(b *testing.B) {
	p := packages(b)
	restored := tree.Restored{Known: [][]tree.Known{p.known(tree.FromBase, p.collect("node_modules").Entries)}}
	for b.Loop() {
		tree.NewRecord(restored)
	}
}

// What a push costs when nothing has changed.
func BenchmarkCollectAndCompare(b *testing.B) {
	p := packages(b)
	record := p.recorded(p.collect("node_modules").Entries)
	for b.Loop() {
		if c := p.compare(record, p.collect("node_modules")); !c.None() {
			b.Fatal("changes")
		}
	}
}

// The same when all files have new inodes and times.
func BenchmarkCollectAndCompareContents(b *testing.B) {
	p := packages(b)
	l := p.collect("node_modules")
	record := p.recorded(l.Entries)
	for _, e := range l.Entries {
		if e.Kind == tree.File {
			must(b, os.Chmod(p.path(e.Path), os.FileMode(e.Perm))) // a new ctime
		}
	}
	for b.Loop() {
		if c := p.compare(record, p.collect("node_modules")); !c.None() {
			b.Fatal("changes")
		}
	}
}
