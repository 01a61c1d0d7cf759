package tree_test

import (
	"context"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/runnerd/runnerd/pkg/cache/archive"
	"github.com/runnerd/runnerd/pkg/cache/archive/tree"
	"github.com/runnerd/runnerd/pkg/confine"
)

// misled is a Record with a sum that no content has: Compare finds a change if
// and only if it reads the file.
func misled(l *tree.Listing) *tree.Record {
	return tree.NewRecord(tree.Restored{Known: [][]tree.Known{{{Entry: l.Entries[0], Sum: archive.Sum{1}, Origin: tree.FromBase}}}})
}

// The danger that Settle is for: an edit in the same tick of the clock as the
// restore, which leaves size and all times as they were.
func TestAnEditRightAfterSettleIsFound(t *testing.T) {
	p := newProject(t)
	for i := range 100 {
		p.remove("f")
		p.write("f", "old")
		record := p.recorded(p.collect("f").Entries)
		p.keepTime("f", func() { p.write("f", "new") })
		if c := p.compare(record, p.collect("f")); c.Changed != 1 {
			t.Fatalf("round %d: the edit was missed", i)
		}
	}
}

func TestSettledFilesAreNotRead(t *testing.T) {
	p := newProject(t)
	p.write("f", "content")
	record := misled(p.collect("f"))
	if c := p.compare(record, p.collect("f")); c.Changed != 1 {
		t.Error("before Settle the file was not read")
	}
	must(t, record.Settle(context.Background(), p.root))
	if c := p.compare(record, p.collect("f")); !c.None() {
		t.Error("after Settle the file was read")
	}
	list, err := os.ReadDir(p.dir)
	must(t, err)
	if len(list) != 1 {
		t.Errorf("Settle has left something behind: %v", list)
	}
}

// What the agent itself does between a restore and the script is no change.
func TestSettleTakesOverOwnersAndModes(t *testing.T) {
	p := newProject(t)
	p.write("c/d/f", "content")
	p.symlink("f", "c/d/l")
	l := p.collect("c")
	record := tree.NewRecord(tree.Restored{Known: [][]tree.Known{p.known(tree.FromBase, l.Entries)}})
	for _, e := range l.Entries {
		must(t, os.Lchown(p.path(e.Path), os.Getuid(), os.Getgid()))
	}
	must(t, os.Chmod(p.path("c/d/f"), 0o666))
	must(t, os.Chmod(p.path("c/d"), 0o777))
	must(t, record.Settle(context.Background(), p.root))
	want{}.check(t, p.compare(record, p.collect("c")))
}

func TestWhatChangesBeforeSettleIsDoubtful(t *testing.T) {
	tests := []struct {
		name string
		edit func(p *project)
		want want
	}{
		{name: "another size", edit: func(p *project) { p.write("f", "longer content") }, want: want{entries: "f", changed: 1}},
		{name: "another time", edit: func(p *project) { p.write("f", "CONTENT") }, want: want{entries: "f", changed: 1}},
		{
			name: "another inode", want: want{entries: "f", changed: 1},
			edit: func(p *project) {
				p.keepTime("f", func() {
					p.write("new", "CONTENT")
					must(p.t, os.Rename(p.path("new"), p.path("f")))
				})
			},
		},
		{name: "another kind", edit: func(p *project) { p.remove("f"); p.mkdir("f") }, want: want{entries: "f", changed: 1}},
		{name: "gone", edit: func(p *project) { p.remove("f") }, want: want{whiteouts: "f", deleted: 1}},
		{name: "the same again", edit: func(p *project) { p.remove("f"); p.write("f", "content") }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := newProject(t)
			p.write("f", "content")
			record := tree.NewRecord(tree.Restored{Known: [][]tree.Known{p.known(tree.FromBase, p.collect("f").Entries)}})
			tt.edit(p)
			must(t, record.Settle(context.Background(), p.root))
			tt.want.check(t, p.compare(record, p.collect("f")))
		})
	}
}

// On a file system that is not known to have reliable times everything is read.
func TestUnknownFileSystem(t *testing.T) {
	root, err := confine.Open("/proc/self")
	must(t, err)
	defer root.Close()
	l, err := tree.Collect(context.Background(), root, tree.Selection{Patterns: []string{"status"}, ProjectDir: "/proc/self"})
	must(t, err)
	if diff := cmp.Diff([]string{"status"}, paths(l.Entries)); diff != "" {
		t.Fatalf("entries (-want +got):\n%s", diff)
	}
	record := misled(l)
	must(t, record.Settle(context.Background(), root))
	c, err := record.Compare(context.Background(), root, l, 1)
	must(t, err)
	if c.Changed != 1 {
		t.Error("a file in /proc was not read")
	}
}
