package tree_test

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/runnerd/runnerd/pkg/cache/archive/tree"
)

// An item is what a layer holds of one entry.
type item struct {
	Kind    tree.Kind
	Perm    uint16
	Content string
	Target  string
	Link    string
}

// A layer is an archive as a model: what is in it, without how.
type layer struct {
	items     map[string]item
	whiteouts []string
}

func (p *project) pack(entries []tree.Entry, whiteouts []string) layer {
	p.t.Helper()
	l := layer{items: make(map[string]item), whiteouts: whiteouts}
	for _, e := range entries {
		i := item{Kind: e.Kind, Perm: e.Perm, Target: e.Target, Link: e.Link}
		if e.Kind == tree.File && e.Link == "" {
			content, err := os.ReadFile(p.path(e.Path))
			must(p.t, err)
			i.Content = string(content)
		}
		l.items[e.Path] = i
	}
	return l
}

// unpack writes both layers into an empty project, and returns what a restore
// has to say of it.
func (p *project) unpack(base, delta layer) tree.Restored {
	p.t.Helper()
	out := tree.Restored{Known: make([][]tree.Known, 2), Base: tree.Totals{Raw: 1 << 20, Entries: len(base.items)}}
	shown := make(map[string]item)
	for name, i := range base.items {
		_, superseded := delta.items[name]
		if superseded || slices.ContainsFunc(delta.whiteouts, func(w string) bool { return name == w || strings.HasPrefix(name, w+"/") }) {
			out.Hidden = append(out.Hidden, tree.Hidden{Path: name, Size: int64(len(i.Content))})
			continue
		}
		shown[name] = i
	}
	for i, items := range []map[string]item{delta.items, shown} {
		p.unpackLayer(items)
		var list []tree.Entry
		for _, name := range slices.Sorted(maps.Keys(items)) {
			list = append(list, p.stat(name, items[name]))
		}
		out.Known[i] = p.known([]tree.Origin{tree.FromDelta, tree.FromBase}[i], list)
	}
	return out
}

// unpackLayer is strict: a link has to lead to an earlier file of its own layer.
func (p *project) unpackLayer(items map[string]item) {
	p.t.Helper()
	for _, name := range slices.Sorted(maps.Keys(items)) {
		i := items[name]
		switch {
		case i.Kind == tree.Dir:
			p.mkdir(name)
		case i.Kind == tree.Symlink:
			p.symlink(i.Target, name)
		case i.Link != "":
			if first, ok := items[i.Link]; !ok || first.Link != "" || i.Link > name {
				p.t.Fatalf("%q is a link to %q, which is no earlier file of its layer", name, i.Link)
			}
			p.mkdir(filepath.Dir(name))
			p.link(i.Link, name)
		default:
			if _, err := os.Lstat(p.path(name)); err == nil {
				p.t.Fatalf("%q is in both layers", name)
			}
			p.write(name, i.Content)
		}
	}
	for name, i := range items {
		if i.Kind != tree.Symlink {
			must(p.t, os.Chmod(p.path(name), os.FileMode(i.Perm)))
		}
	}
}

func (p *project) stat(name string, i item) tree.Entry {
	p.t.Helper()
	c := p.root.Cursor()
	defer c.Close()
	st, err := c.Lstat(name)
	must(p.t, err)
	s, ok := tree.StatOf(st)
	if !ok || s.Kind != i.Kind {
		p.t.Fatalf("%q is a %v, want %v", name, s.Kind, i.Kind)
	}
	return tree.Entry{Path: name, Stat: s, Target: i.Target, Link: i.Link}
}

// Jobs that restore, edit at random and save: what a restore of base and delta
// makes is what the job before had, and what is not sent has not changed.
func TestBaseAndDeltaAreTheTree(t *testing.T) {
	const seeds, rounds = 30, 4
	for seed := range uint64(seeds) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 1))
			p := newProject(t)
			e := &editor{project: p, random: random}
			e.edit(60)
			base := p.pack(p.collect("c", "d/*").Entries, nil)
			delta := layer{}
			before := base.items
			for round := range rounds {
				p = newProject(t)
				record := tree.NewRecord(p.unpack(base, delta))
				l := p.collect("c", "d/*")
				if diff := cmp.Diff(before, p.pack(l.Entries, nil).items); diff != "" {
					t.Fatalf("round %d: restored (-want +got):\n%s", round, diff)
				}
				must(t, record.Settle(context.Background(), p.root))
				if c := p.compare(record, l); !c.None() {
					t.Fatalf("round %d: changes right after the restore: %+v", round, c)
				}
				e.project = p
				e.edit(1 + random.IntN(12))
				l = p.collect("c", "d/*")
				c := p.compare(record, l)
				delta = p.pack(c.Entries, c.Whiteouts)
				before = p.pack(l.Entries, nil).items
			}
		})
	}
}

// An editor does to a project what jobs do.
type editor struct {
	*project
	random *rand.Rand
}

func (e *editor) edit(times int) {
	e.t.Helper()
	for range times {
		files, folders := e.find()
		if len(files) == 0 {
			e.remove("c/f")
			e.write("c/f", "first")
			files, folders = e.find()
		}
		e.one(files[e.random.IntN(len(files))], folders[e.random.IntN(len(folders))])
	}
}

// find returns what there is to edit, in c and d.
func (e *editor) find() (files, folders []string) {
	e.t.Helper()
	e.mkdir("c", "d")
	must(e.t, filepath.WalkDir(e.dir, func(path string, d os.DirEntry, err error) error {
		name, _ := filepath.Rel(e.dir, path)
		switch {
		case name == ".":
		case d.IsDir():
			folders = append(folders, name)
		case d.Type().IsRegular():
			files = append(files, name)
		}
		return err
	}))
	return files, folders
}

// content is short, so that another one often has its size.
func (e *editor) content() string {
	return strings.Repeat("x", e.random.IntN(3)) + fmt.Sprint(e.random.IntN(10))
}

// fresh is a path in folder where often nothing is yet. Names are few, so that
// one thing comes in the place of another.
func (e *editor) fresh(folder string) string {
	return folder + "/" + []string{"a", "a-b", "a.b", "b", "f", "g"}[e.random.IntN(6)]
}

func (e *editor) one(file, folder string) {
	e.t.Helper()
	name := e.fresh(folder)
	switch e.random.IntN(12) {
	case 0:
		e.write(file, e.content())
	case 1:
		e.keepTime(file, func() { e.write(file, e.content()) })
	case 2: // the same content in a new file
		content, err := os.ReadFile(e.path(file))
		must(e.t, err)
		e.remove(file)
		e.write(file, string(content))
	case 3:
		must(e.t, os.Chmod(e.path(file), os.FileMode(0o600+e.random.IntN(2)*0o44)))
	case 4:
		must(e.t, os.Chmod(e.path(folder), os.FileMode(0o700+e.random.IntN(2)*0o55)))
	case 5:
		e.remove([]string{file, name, folder}[e.random.IntN(3)])
	case 6, 7:
		e.remove(name)
		e.write(name, e.content())
	case 8:
		e.remove(name)
		e.mkdir(e.fresh(name))
	case 9:
		e.remove(name)
		e.symlink(e.content(), name)
	case 10:
		if name != file && !strings.HasPrefix(file, name+"/") {
			e.remove(name)
			e.link(file, name)
		}
	case 11:
		if !strings.HasPrefix(name, file) && !strings.HasPrefix(file, name) {
			e.remove(name)
			must(e.t, os.Rename(e.path(file), e.path(name)))
		}
	}
}
