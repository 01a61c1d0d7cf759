package tree_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/runnerd/runnerd/pkg/cache/archive"
	"github.com/runnerd/runnerd/pkg/cache/archive/tree"
	"github.com/runnerd/runnerd/pkg/confine"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// A project is a directory with the files of a test.
type project struct {
	t    testing.TB
	dir  string
	root *confine.Root
}

func newProject(t testing.TB) *project {
	t.Helper()
	p := &project{t: t, dir: t.TempDir()}
	var err error
	p.root, err = confine.Open(p.dir)
	must(t, err)
	t.Cleanup(func() { _ = p.root.Close() })
	return p
}

func (p *project) path(name string) string { return filepath.Join(p.dir, name) }

func (p *project) mkdir(names ...string) {
	p.t.Helper()
	for _, name := range names {
		must(p.t, os.MkdirAll(p.path(name), 0o755))
	}
}

// write writes into the file as it is, with its inode.
func (p *project) write(name, content string) {
	p.t.Helper()
	p.mkdir(filepath.Dir(name))
	must(p.t, os.WriteFile(p.path(name), []byte(content), 0o644))
}

func (p *project) symlink(target, name string) {
	p.t.Helper()
	p.mkdir(filepath.Dir(name))
	must(p.t, os.Symlink(target, p.path(name)))
}

func (p *project) link(old, name string) {
	p.t.Helper()
	must(p.t, os.Link(p.path(old), p.path(name)))
}

func (p *project) remove(names ...string) {
	p.t.Helper()
	for _, name := range names {
		must(p.t, os.RemoveAll(p.path(name)))
	}
}

// keepTime runs edit and sets the file's mtime to what it was.
func (p *project) keepTime(name string, edit func()) {
	p.t.Helper()
	var st unix.Stat_t
	must(p.t, unix.Lstat(p.path(name), &st))
	edit()
	must(p.t, unix.UtimesNanoAt(unix.AT_FDCWD, p.path(name), []unix.Timespec{st.Atim, st.Mtim}, unix.AT_SYMLINK_NOFOLLOW))
}

func (p *project) collect(patterns ...string) *tree.Listing {
	p.t.Helper()
	l, err := tree.Collect(context.Background(), p.root, tree.Selection{Patterns: patterns, ProjectDir: p.dir})
	must(p.t, err)
	return l
}

func (p *project) compare(r *tree.Record, l *tree.Listing) *tree.Changes {
	p.t.Helper()
	c, err := r.Compare(context.Background(), p.root, l, 2)
	must(p.t, err)
	return c
}

// known is what a restore would have recorded of the entries as they are.
func (p *project) known(origin tree.Origin, entries []tree.Entry) []tree.Known {
	p.t.Helper()
	var list []tree.Known
	for _, e := range entries {
		k := tree.Known{Entry: e, Origin: origin}
		if e.Kind == tree.File && e.Link == "" {
			content, err := os.ReadFile(p.path(e.Path))
			must(p.t, err)
			k.Sum = archive.SumOf(content)
		}
		list = append(list, k)
	}
	return list
}

// recorded is the settled Record of a base that was restored as the files are.
func (p *project) recorded(entries []tree.Entry) *tree.Record {
	p.t.Helper()
	r := tree.NewRecord(tree.Restored{Known: [][]tree.Known{p.known(tree.FromBase, entries)}, Base: totals(entries)})
	must(p.t, r.Settle(context.Background(), p.root))
	return r
}

// totals are about what a layer with the entries takes.
func totals(entries []tree.Entry) tree.Totals {
	t := tree.Totals{Entries: len(entries)}
	for _, e := range entries {
		t.Raw += 3 * 512
		if e.Kind == tree.File && e.Link == "" {
			t.Raw += (e.Size + 511) / 512 * 512
		}
	}
	return t
}

func paths(entries []tree.Entry) []string {
	list := make([]string, 0, len(entries))
	for _, e := range entries {
		list = append(list, e.Path)
	}
	return list
}
