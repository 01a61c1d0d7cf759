package tree

import (
	"slices"
	"sort"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/runnerd/runnerd/pkg/confine"
)

// A reader is what one goroutine of a walk needs.
type reader struct {
	*walk
	cursor *confine.Cursor
	list   []confine.DirEntry // of the folder that is being read
	text   []byte
}

// read fills in f.
func (r *reader) read(f *folder) {
	var err error
	if r.list, err = r.cursor.ReadDir(r.list[:0], f.path); err != nil {
		r.left(err)
		return
	}
	slices.SortFunc(r.list, func(a, b confine.DirEntry) int { return strings.Compare(a.Name, b.Name) })
	if f.whole {
		f.entries = make([]Entry, 0, len(r.list))
	}
	rest := r.paths(f.path)
	for _, d := range r.list {
		var name string
		size := len(rest.prefix) + len(d.Name)
		name, rest.all = rest.all[:size], rest.all[size:]
		r.take(f, name, d.Type)
	}
	f.sortInside()
}

// paths returns the paths of all that is in the list in one string: one
// allocation for each folder, not for each file.
func (r *reader) paths(folder string) (out struct{ all, prefix string }) {
	if folder != "." {
		out.prefix = folder + "/"
	}
	r.text = r.text[:0]
	for _, d := range r.list {
		r.text = append(append(r.text, out.prefix...), d.Name...)
	}
	out.all = string(r.text)
	return out
}

// take adds what name in f stands for. kind is what the folder says of it.
func (r *reader) take(f *folder, name string, kind uint8) {
	matches := f.whole || r.pattern.matches(r.below(name))
	if !matches && kind != unix.DT_DIR && kind != unix.DT_UNKNOWN {
		return
	}
	if r.refused(name, r.pattern.base) {
		return
	}
	st, err := r.cursor.Lstat(name)
	if err != nil {
		r.left(err)
		return
	}
	isDir := st.Mode&unix.S_IFMT == unix.S_IFDIR
	if !matches && (!isDir || !r.pattern.enters(name, f.depth+1)) {
		return
	}
	if isDir && st.Dev != f.dev {
		r.warn("left out: %q is a mount point; name it in a path of its own to cache it", name)
		return
	}
	if matches {
		if e, ok := r.entry(r.cursor, name, st); ok {
			f.entries = append(f.entries, e)
		}
	}
	if isDir {
		f.inside = append(f.inside, subfolder{folder: &folder{path: name, depth: f.depth + 1, dev: st.Dev, whole: matches}})
	}
}

// below returns name relative to the pattern's base.
func (r *reader) below(name string) string {
	if r.pattern.base == "." {
		return name
	}
	return name[len(r.pattern.base)+1:]
}

// A folder is one folder on the walk, with what was found in it.
type folder struct {
	path  string
	depth int    // below the pattern's base
	dev   uint64 // of the file system
	whole bool   // all that is in it belongs to the cache

	entries []Entry // sorted
	inside  []subfolder
}

// A subfolder's entries come before the entry with that index in the folder
// that it is in.
type subfolder struct {
	before int
	*folder
}

// sortInside puts f's folders where their content belongs in the order of all
// paths: "a" comes before "a-b", but "a/x" behind it.
func (f *folder) sortInside() {
	slices.SortFunc(f.inside, func(a, b subfolder) int {
		if len(a.path) <= len(b.path) {
			return compareInside(a.path, b.path)
		}
		return -compareInside(b.path, a.path)
	})
	for i, sub := range f.inside {
		f.inside[i].before = sort.Search(len(f.entries), func(i int) bool { return compareInside(sub.path, f.entries[i].Path) < 0 })
	}
}

// compareInside compares folder with a slash behind it to name.
func compareInside(folder, name string) int {
	if len(name) <= len(folder) {
		if order := strings.Compare(folder, name); order != 0 {
			return order
		}
		return 1
	}
	if order := strings.Compare(folder, name[:len(folder)]); order != 0 {
		return order
	}
	return strings.Compare("/", name[len(folder):])
}

// count returns how many entries f has, with those inside.
func (f *folder) count() int {
	n := len(f.entries)
	for _, sub := range f.inside {
		n += sub.count()
	}
	return n
}

// flatten appends all entries of f to list, sorted.
func (f *folder) flatten(list []Entry) []Entry {
	done := 0
	for _, sub := range f.inside {
		list = append(list, f.entries[done:sub.before]...)
		list = sub.flatten(list)
		done = sub.before
	}
	return append(list, f.entries[done:]...)
}
