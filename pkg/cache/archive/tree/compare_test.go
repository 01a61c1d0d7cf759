package tree_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/runnerd/runnerd/pkg/cache/archive/tree"
)

// want is what Changes have to say; lists are separated by spaces.
type want struct {
	entries, whiteouts      string
	changed, added, deleted int
}

func (w want) check(t *testing.T, c *tree.Changes) {
	t.Helper()
	got := want{
		entries: strings.Join(paths(c.Entries), " "), whiteouts: strings.Join(c.Whiteouts, " "),
		changed: c.Changed, added: c.Added, deleted: c.Deleted,
	}
	if diff := cmp.Diff(w, got, cmp.AllowUnexported(want{})); diff != "" {
		t.Errorf("changes (-want +got):\n%s", diff)
	}
	if c.None() != (w.changed+w.added+w.deleted == 0) {
		t.Errorf("None() = %v of %+v", c.None(), got)
	}
}

func TestChanges(t *testing.T) {
	again := func(p *project, name, content string) { // as a new file
		p.remove(name)
		p.write(name, content)
	}
	tests := []struct {
		name string
		edit func(p *project)
		want want
	}{
		{name: "nothing", edit: func(*project) {}},
		{name: "an edit", edit: func(p *project) { p.write("c/a/f", "1234567") }, want: want{entries: "c/a/f", changed: 1}},
		{name: "an edit that keeps the size", edit: func(p *project) { p.write("c/a/f", "four") }, want: want{entries: "c/a/f", changed: 1}},
		{
			name: "an edit that keeps size and time", want: want{entries: "c/a/f", changed: 1},
			edit: func(p *project) { p.keepTime("c/a/f", func() { p.write("c/a/f", "four") }) },
		},
		{
			name: "another file with the same size and time", want: want{entries: "c/a/f", changed: 1},
			edit: func(p *project) { p.keepTime("c/a/f", func() { again(p, "c/a/f", "four") }) },
		},
		{
			name: "an edit in the middle of a large file", want: want{entries: "c/big", changed: 1},
			edit: func(p *project) {
				p.keepTime("c/big", func() {
					f, err := os.OpenFile(p.path("c/big"), os.O_WRONLY, 0)
					must(p.t, err)
					_, err = f.WriteAt([]byte("X"), 2<<20)
					must(p.t, errors.Join(err, f.Close()))
				})
			},
		},
		{name: "the same content again", edit: func(p *project) { again(p, "c/a/f", "file"); again(p, "c/big", big) }},
		{name: "a touch", edit: func(p *project) { must(p.t, os.Chtimes(p.path("c/a/f"), time.Now(), time.Unix(1, 2))) }},
		{name: "a mode", edit: func(p *project) { must(p.t, os.Chmod(p.path("c/a/f"), 0o600)) }, want: want{entries: "c/a/f", changed: 1}},
		{name: "a folder's mode", edit: func(p *project) { must(p.t, os.Chmod(p.path("c/a"), 0o700)) }, want: want{entries: "c/a", changed: 1}},
		{name: "a new file", edit: func(p *project) { p.write("c/a/new", "") }, want: want{entries: "c/a/new", added: 1}},
		{name: "a new folder", edit: func(p *project) { p.write("c/n/new", "") }, want: want{entries: "c/n c/n/new", added: 2}},
		{name: "a file is gone", edit: func(p *project) { p.remove("c/a/f") }, want: want{whiteouts: "c/a/f", deleted: 1}},
		{
			name: "a folder is gone, with one that begins like it", want: want{whiteouts: "c/a c/a-b", deleted: 7},
			edit: func(p *project) { p.remove("c/a", "c/a-b") },
		},
		{name: "a file is moved", edit: func(p *project) { must(p.t, os.Rename(p.path("c/a/f"), p.path("c/f"))) }, want: want{entries: "c/f", whiteouts: "c/a/f", added: 1, deleted: 1}},
		{
			name: "a file becomes a folder", want: want{entries: "c/a/f c/a/f/x", changed: 1, added: 1},
			edit: func(p *project) { p.remove("c/a/f"); p.write("c/a/f/x", "") },
		},
		{
			name: "a folder becomes a symlink", want: want{entries: "c/a", whiteouts: "c/a/d c/a/f c/a/l", changed: 1, deleted: 4},
			edit: func(p *project) { p.remove("c/a"); p.symlink("a-b", "c/a") },
		},
		{name: "a symlink's target", edit: func(p *project) { p.remove("c/a/l"); p.symlink("g", "c/a/l") }, want: want{entries: "c/a/l", changed: 1}},
		{name: "the same symlink again", edit: func(p *project) { p.remove("c/a/l"); p.symlink("f", "c/a/l") }},
		{
			name: "a linked file: all its names are sent", want: want{entries: "c/h/1 c/h/2 c/h/3", changed: 1},
			edit: func(p *project) { p.write("c/h/2", "changed") },
		},
		{
			name: "a link is broken", want: want{entries: "c/h/2", changed: 1},
			edit: func(p *project) { again(p, "c/h/2", "hard") },
		},
		{
			name: "the first of the names is gone", want: want{entries: "c/h/2 c/h/3", whiteouts: "c/h/1", changed: 2, deleted: 1},
			edit: func(p *project) { p.remove("c/h/1") },
		},
		{
			name: "one more name", want: want{entries: "c/h/1 c/h/2 c/h/3 c/z", added: 1},
			edit: func(p *project) { p.link("c/h/1", "c/z") },
		},
		{
			name: "a link to a file that had one name", want: want{entries: "c/a/d/g c/z", added: 1},
			edit: func(p *project) { p.link("c/a/d/g", "c/z") },
		},
		{name: "the same names linked again", edit: func(p *project) { p.remove("c/h/3"); p.link("c/h/1", "c/h/3") }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := changing(t)
			record := p.recorded(p.collect("c").Entries)
			tt.edit(p)
			tt.want.check(t, p.compare(record, p.collect("c")))
		})
	}
}

var big = strings.Repeat("0123456789abcdef", 5<<20/16) + "tail"

func changing(t *testing.T) *project {
	p := newProject(t)
	p.write("c/a/f", "file")
	p.write("c/a/d/g", "g")
	p.symlink("f", "c/a/l")
	p.write("c/a-b/x", "x")
	p.write("c/big", big)
	p.write("c/h/1", "hard")
	p.link("c/h/1", "c/h/2")
	p.link("c/h/1", "c/h/3")
	return p
}

// The delta is always against the base: what the old delta had is in the new
// one, as long as it is there.
func TestChangesOnTopOfADelta(t *testing.T) {
	tests := []struct {
		name       string
		edit       func(p *project)
		want       want
		superseded int // entries of the base
	}{
		{name: "nothing", edit: func(*project) {}, want: want{entries: "c/both c/mine", whiteouts: "c/out"}, superseded: 3},
		{
			name: "a file of the base", want: want{entries: "c/base c/both c/mine", whiteouts: "c/out", changed: 1},
			edit: func(p *project) { p.write("c/base", "changed") }, superseded: 4,
		},
		{
			name: "a file of the delta", want: want{entries: "c/both c/mine", whiteouts: "c/out", changed: 1},
			edit: func(p *project) { p.write("c/mine", "changed") }, superseded: 3,
		},
		{
			name: "a file that only the delta had is gone without a trace", want: want{entries: "c/both", whiteouts: "c/out", deleted: 1},
			edit: func(p *project) { p.remove("c/mine") }, superseded: 3,
		},
		{
			name: "a file that both had needs a whiteout", want: want{entries: "c/mine", whiteouts: "c/both c/out", deleted: 1},
			edit: func(p *project) { p.remove("c/both") }, superseded: 3,
		},
		{
			name: "what the delta had removed is back", want: want{entries: "c/both c/mine c/out", whiteouts: "c/out/below", added: 1},
			edit: func(p *project) { p.write("c/out", "back") }, superseded: 3,
		},
		{
			name: "everything is gone", want: want{whiteouts: "c", deleted: 4},
			edit: func(p *project) { p.remove("c") }, superseded: 5,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := newProject(t)
			for _, name := range []string{"c/base", "c/both", "c/mine"} {
				p.write(name, name)
			}
			entries := p.collect("c").Entries // c, and these
			record := tree.NewRecord(tree.Restored{
				Known:  [][]tree.Known{p.known(tree.FromDelta, entries[2:]), p.known(tree.FromBase, entries[:2])},
				Hidden: []tree.Hidden{{Path: "c/out/below", Size: 700}, {Path: "c/out"}, {Path: "c/both", Size: 100}},
				Base:   tree.Totals{Raw: 1 << 20, Entries: 5},
			})
			must(t, record.Settle(context.Background(), p.root))
			tt.edit(p)
			c := p.compare(record, p.collect("c"))
			tt.want.check(t, c)
			if c.Superseded.Entries != tt.superseded || c.Base.Entries != 5 {
				t.Errorf("superseded %+v of %+v, want %d entries", c.Superseded, c.Base, tt.superseded)
			}
			if diff := cmp.Diff(totals(c.Entries), c.Delta); diff != "" {
				t.Errorf("delta (-want +got):\n%s", diff)
			}
		})
	}
}

// A folder that no pattern names any more stays in the base as long as
// something in it does, and that is no change.
func TestFolderAboveWhatIsKeptIsNotWhitedOut(t *testing.T) {
	p := newProject(t)
	p.write("c/d/f", "f")
	p.write("c/e/g", "g")
	record := p.recorded(p.collect("c").Entries)
	c := p.compare(record, p.collect("c/*"))
	want{}.check(t, c)
	c = p.compare(record, p.collect("c/d"))
	want{whiteouts: "c/e", deleted: 2}.check(t, c)
	p.write("c/d/f", "changed")
	want{entries: "c/d/f", whiteouts: "c/e", changed: 1, deleted: 2}.check(t, p.compare(record, p.collect("c/d")))
	want{entries: "c/d/f", whiteouts: "c", changed: 1, deleted: 4}.check(t, p.compare(record, p.collect("c/d/f")))
}

// A Sum that is not known is a file that has changed, unless its stat says that
// it has not.
func TestUnknownSum(t *testing.T) {
	p := newProject(t)
	p.write("f", "f")
	l := p.collect("f")
	record := tree.NewRecord(tree.Restored{Known: [][]tree.Known{{{Entry: l.Entries[0], Origin: tree.FromBase}}}})
	want{entries: "f", changed: 1}.check(t, p.compare(record, l))
	must(t, record.Settle(context.Background(), p.root))
	want{}.check(t, p.compare(record, p.collect("f")))
}

func TestGitCheckoutThatChangesNothing(t *testing.T) {
	p := newProject(t)
	for i := range 50 {
		p.write(fmt.Sprintf("vendor/p%d/f.go", i), fmt.Sprint("package p", i))
	}
	git := func(args ...string) {
		cmd := exec.Command("git", append([]string{"-c", "user.name=n", "-c", "user.email=e"}, args...)...)
		cmd.Dir = p.dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("git %v: %v\n%s", args, err, out)
		}
	}
	git("init", "-q")
	git("add", ".")
	git("commit", "-q", "-m", "one")
	git("checkout", "-q", "-b", "other")
	p.write("vendor/p7/f.go", "package seven")
	git("commit", "-q", "-a", "-m", "two")
	record := p.recorded(p.collect("vendor").Entries)

	git("checkout", "-q", "-f", "HEAD")
	git("status")
	git("reset", "-q", "--hard")
	want{}.check(t, p.compare(record, p.collect("vendor")))
	git("checkout", "-q", "-")
	want{entries: "vendor/p7/f.go", changed: 1}.check(t, p.compare(record, p.collect("vendor")))
	git("checkout", "-q", "other") // a new file with the old content
	want{}.check(t, p.compare(record, p.collect("vendor")))
}

func TestNewRecordHasALimit(t *testing.T) {
	if r := tree.NewRecord(tree.Restored{Hidden: make([]tree.Hidden, 2_000_001)}); r != nil {
		t.Error("a record of more than two million entries")
	}
}

func TestCompareEndsWithItsContext(t *testing.T) {
	p := changing(t)
	l := p.collect("c")
	record := p.recorded(l.Entries)
	why := errors.New("enough")
	ctx, cancel := context.WithCancelCause(context.Background())
	cancel(why)
	if _, err := record.Compare(ctx, p.root, l, 2); !errors.Is(err, why) {
		t.Errorf("Compare: %v", err)
	}
	if err := record.Settle(ctx, p.root); !errors.Is(err, why) {
		t.Errorf("Settle: %v", err)
	}
}
