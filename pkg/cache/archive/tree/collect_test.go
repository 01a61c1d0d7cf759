package tree_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/runnerd/runnerd/pkg/cache/archive/tree"
)

// sample makes:
//
//	.git/config  a  a-b/x  a.c  a/x  a/y/z  a/y/.hidden  d/n/m/f  d/o/m/g  d/o/p
//	link → a     dangling → nowhere         {e}/f        st*r/f
func sample(t *testing.T) *project {
	p := newProject(t)
	for _, name := range []string{".git/config", "a-b/x", "a.c", "a/x", "a/y/z", "a/y/.hidden", "d/n/m/f", "d/o/m/g", "d/o/p", "{e}/f", "st*r/f"} {
		p.write(name, name)
	}
	p.symlink("a", "link")
	p.symlink("nowhere", "dangling")
	return p
}

func TestPatterns(t *testing.T) {
	p := sample(t)
	outside := "outside the project directory"
	all := "a a-b a-b/x a.c a/x a/y a/y/.hidden a/y/z d d/n d/n/m d/n/m/f d/o d/o/m d/o/m/g d/o/p dangling link st*r st*r/f {e} {e}/f"
	tests := []struct {
		name, pattern string
		want          string // paths, separated by spaces
		warning       string
	}{
		{name: "a folder is taken whole, without its parents", pattern: "d/o", want: "d/o d/o/m d/o/m/g d/o/p"},
		{name: "with dot and slash", pattern: "./d/o/", want: "d/o d/o/m d/o/m/g d/o/p"},
		{name: "absolute", pattern: p.dir + "/d/o", want: "d/o d/o/m d/o/m/g d/o/p"},
		{name: "a file", pattern: "a/x", want: "a/x"},
		{name: "up and down again", pattern: "d/../a/x", want: "a/x"},
		{name: "order of paths is by their bytes", pattern: "a*", want: "a a-b a-b/x a.c a/x a/y a/y/.hidden a/y/z"},
		{name: "one character", pattern: "a?c", want: "a.c"},
		{name: "a star ends at a slash", pattern: "d/*/m", want: "d/n/m d/n/m/f d/o/m d/o/m/g"},
		{name: "two stars do not", pattern: "d/**/f", want: "d/n/m/f"},
		{name: "two stars are also nothing", pattern: "**/a", want: "a a/x a/y a/y/.hidden a/y/z"},
		{name: "two stars at the end take the folder", pattern: "a/y/**", want: "a/y a/y/.hidden a/y/z"},
		{name: "everything in a folder", pattern: "a/y/*", want: "a/y/.hidden a/y/z"},
		{name: "two stars in the middle", pattern: "**/m/*", want: "d/n/m/f d/o/m/g"},
		{name: "alternatives", pattern: "d/{n,o}/m/[fg]", want: "d/n/m/f d/o/m/g"},
		{name: "alternatives of several levels", pattern: "{d/n/m,a/y}/*", want: "a/y/.hidden a/y/z d/n/m/f"},
		{name: "a class that excludes", pattern: "d/o/[^m]", want: "d/o/p"},
		{name: "an escape", pattern: `st\*r`, want: "st*r st*r/f"},
		{name: "escaped braces", pattern: `\{e\}/f`, want: "{e}/f"},
		{name: "the whole project but .git", pattern: ".", want: all},
		{name: "the same with stars", pattern: "**", want: all},
		{name: "the project's absolute path", pattern: p.dir, want: all},
		{name: "a name with a dot does not take .git", pattern: ".g*", want: ""},
		{name: ".git by its name", pattern: ".git", want: ".git .git/config"},
		{name: "inside of .git", pattern: ".git/conf*", want: ".git/config"},
		{name: "a symlink is itself", pattern: "link", want: "link"},
		{name: "also with a slash", pattern: "link/", want: "link"},
		{name: "a dangling one too", pattern: "dang*", want: "dangling"},
		{name: "nothing is behind a symlink", pattern: "link/x", warning: `"link" is not a folder`},
		{name: "not with stars either", pattern: "l*/**/x", want: ""},
		{name: "nothing there", pattern: "none/x", want: ""},
		{name: "up", pattern: "../x", warning: outside},
		{name: "up from inside", pattern: "a/../../x", warning: outside},
		{name: "absolute, elsewhere", pattern: "/etc/passwd", warning: outside},
		{name: "absolute, a name that begins the same", pattern: p.dir + "x/a", warning: outside},
		{name: "a bracket without its end", pattern: "a[", warning: "not a valid pattern"},
		{name: "empty", pattern: "", warning: "the path is empty"},
		{name: "too long a name", pattern: strings.Repeat("n", 300), warning: "more than 255"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l, err := tree.Collect(context.Background(), p.root, tree.Selection{Patterns: []string{tt.pattern}, ProjectDir: p.dir, Refuse: []string{".git"}})
			must(t, err)
			if diff := cmp.Diff(strings.Fields(tt.want), paths(l.Entries)); diff != "" {
				t.Errorf("%q finds (-want +got):\n%s", tt.pattern, diff)
			}
			if diff := cmp.Diff([]tree.Match{{Pattern: tt.pattern, Count: len(strings.Fields(tt.want))}}, l.Matches); diff != "" {
				t.Errorf("matches (-want +got):\n%s", diff)
			}
			if got := strings.Join(l.Warnings, "; "); (tt.warning == "") != (got == "") || !strings.Contains(got, tt.warning) {
				t.Errorf("warnings %q, want %q", got, tt.warning)
			}
		})
	}
}

func TestEntriesSayWhatLstatSays(t *testing.T) {
	p := newProject(t)
	p.write("c/file", "content")
	must(t, os.Chmod(p.path("c/file"), 0o4751))
	p.symlink("some/where", "c/link")
	must(t, os.Chmod(p.path("c"), 0o1700))
	for _, e := range p.collect("c").Entries {
		var st unix.Stat_t
		must(t, unix.Lstat(p.path(e.Path), &st))
		want := tree.Entry{Path: e.Path, Stat: tree.Stat{MTime: st.Mtim.Nano(), CTime: st.Ctim.Nano(), Inode: st.Ino}}
		switch e.Path {
		case "c":
			want.Kind, want.Perm = tree.Dir, 0o700
		case "c/file":
			want.Kind, want.Perm, want.Size = tree.File, 0o751, 7
		case "c/link":
			want.Kind, want.Perm, want.Size, want.Target = tree.Symlink, 0o777, 10, "some/where"
		}
		if diff := cmp.Diff(want, e); diff != "" {
			t.Errorf("%s (-want +got):\n%s", e.Path, diff)
		}
	}
}

func TestPathsOfSeveralPatternsAreListedOnce(t *testing.T) {
	p := sample(t)
	l := p.collect("d/o/p", "d/o", "d", "a/x", "none")
	want := strings.Fields("a/x d d/n d/n/m d/n/m/f d/o d/o/m d/o/m/g d/o/p")
	if diff := cmp.Diff(want, paths(l.Entries)); diff != "" {
		t.Errorf("entries (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]tree.Match{{"d/o/p", 1}, {"d/o", 4}, {"d", 8}, {"a/x", 1}, {"none", 0}}, l.Matches); diff != "" {
		t.Errorf("matches (-want +got):\n%s", diff)
	}
}

func TestUntracked(t *testing.T) {
	p := sample(t)
	l, err := tree.Collect(context.Background(), p.root, tree.Selection{
		Patterns: []string{"a/y"}, ProjectDir: p.dir, Refuse: []string{".git"},
		// A repository inside of the project ends with a slash in git's list.
		Untracked: []string{"a/y/z", "link", "gone", "d/", "a/x", ".git/config", "../out", "link/x"},
	})
	must(t, err)
	if diff := cmp.Diff(strings.Fields("a/x a/y a/y/.hidden a/y/z d link"), paths(l.Entries)); diff != "" {
		t.Errorf("entries (-want +got):\n%s", diff)
	}
	if len(l.Warnings) != 1 || !strings.Contains(l.Warnings[0], "../out") {
		t.Errorf("warnings %q, want one about ../out", l.Warnings)
	}
}

func TestHardLinks(t *testing.T) {
	p := newProject(t)
	p.write("c/m", "1")
	p.link("c/m", "c/z")
	p.link("c/m", "c/a")
	p.write("c/other", "2")
	p.link("c/other", "elsewhere")
	p.link("c/other", "c-d")
	got := make(map[string]string)
	for _, e := range p.collect("c/m", "c", "c-d").Entries {
		if e.Link != "" {
			got[e.Path] = e.Link
		}
	}
	if diff := cmp.Diff(map[string]string{"c/m": "c/a", "c/z": "c/a", "c/other": "c-d"}, got); diff != "" {
		t.Errorf("links (-want +got):\n%s", diff)
	}
}

func TestWhatIsLeftOutIsSaid(t *testing.T) {
	p := newProject(t)
	p.write("c/f", "")
	must(t, unix.Mkfifo(p.path("c/pipe"), 0o644))
	must(t, unix.Mknod(p.path("c/socket"), unix.S_IFSOCK|0o644, 0))
	l := p.collect("c", "c/pipe")
	if diff := cmp.Diff([]string{"c", "c/f"}, paths(l.Entries)); diff != "" {
		t.Errorf("entries (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"3 devices, pipes or sockets are left out"}, l.Warnings); diff != "" {
		t.Errorf("warnings (-want +got):\n%s", diff)
	}
	var many []string
	for range 50 {
		many = append(many, "../x")
	}
	if l := p.collect(many...); len(l.Warnings) != 21 || l.Warnings[20] != "30 more files or folders are left out" {
		t.Errorf("%d warnings, the last one %q", len(l.Warnings), l.Warnings[len(l.Warnings)-1])
	}
}

// Names that are no text, and a path that nothing may have, though the file
// system can.
func TestOddNames(t *testing.T) {
	p := newProject(t)
	p.write("c/\xff\xfe\n", "")
	deep := "c" + strings.Repeat("/d", 127)
	p.mkdir(deep + "/too deep")
	l := p.collect("c")
	if got := paths(l.Entries); !slices.Contains(got, "c/\xff\xfe\n") || !slices.Contains(got, deep) || len(got) != 129 {
		t.Errorf("%d entries, the last one %q", len(got), got[len(got)-1])
	}
	if len(l.Warnings) != 1 || !strings.Contains(l.Warnings[0], "more than 128 components") {
		t.Errorf("warnings %q", l.Warnings)
	}
}

// A mount point belongs to a cache only if a pattern leads right to it.
func TestMountPoints(t *testing.T) {
	const inside = "RUNNERD_TEST_MOUNT"
	if os.Getenv(inside) == "" {
		cmd := exec.Command(os.Args[0], "-test.run=^TestMountPoints$", "-test.v")
		cmd.Env = append(os.Environ(), inside+"=1")
		cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS}
		if os.Getuid() != 0 {
			cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
			cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
		}
		if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "--- PASS") {
			t.Errorf("in a mount namespace: %v\n%s", err, out)
		}
		return
	}
	p := newProject(t)
	p.mkdir("c/mount")
	must(t, unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""))
	must(t, unix.Mount("tmpfs", p.path("c/mount"), "tmpfs", 0, ""))
	defer unix.Unmount(p.path("c/mount"), unix.MNT_DETACH)
	p.write("c/mount/f", "")
	l := p.collect("c", "**/f")
	if diff := cmp.Diff([]string{"c"}, paths(l.Entries)); diff != "" || len(l.Warnings) != 2 || !strings.Contains(l.Warnings[0], "mount point") {
		t.Errorf("warnings %q, entries (-want +got):\n%s", l.Warnings, diff)
	}
	if diff := cmp.Diff([]string{"c/mount", "c/mount/f"}, paths(p.collect("c/mount").Entries)); diff != "" {
		t.Errorf("named (-want +got):\n%s", diff)
	}
}

func TestCollectEndsWithItsContext(t *testing.T) {
	p := sample(t)
	why := errors.New("enough")
	ctx, cancel := context.WithCancelCause(context.Background())
	cancel(why)
	for _, sel := range []tree.Selection{{Patterns: []string{"**"}}, {Untracked: []string{"a/x"}}} {
		if l, err := tree.Collect(ctx, p.root, sel); l != nil || !errors.Is(err, why) {
			t.Errorf("Collect = %v, %v, want the context's cause", l, err)
		}
	}
}
