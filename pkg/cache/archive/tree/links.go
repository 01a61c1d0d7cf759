package tree

import (
	"slices"
	"strings"
)

// links are the files with more than one name, some of which may be elsewhere.
type links []linked

type linked struct {
	path string
	inode
}

type inode struct{ dev, ino uint64 }

func (l *links) add(path string, i inode) { *l = append(*l, linked{path: path, inode: i}) }

// apply sets the Link of all entries whose file has an earlier name among them.
// The entries are sorted.
func (l links) apply(entries []Entry) {
	slices.SortFunc(l, func(a, b linked) int { return strings.Compare(a.path, b.path) })
	// Two patterns may have found the same one.
	l = slices.CompactFunc(l, func(a, b linked) bool { return a.path == b.path })
	first := make(map[inode]string, len(l))
	for _, name := range l {
		leader, ok := first[name.inode]
		if !ok {
			first[name.inode] = name.path
			continue
		}
		if i, ok := find(entries, name.path); ok {
			entries[i].Link = leader
		}
	}
}

// find returns the position of path in sorted entries.
func find(entries []Entry, path string) (int, bool) {
	return slices.BinarySearchFunc(entries, path, func(e Entry, path string) int { return strings.Compare(e.Path, path) })
}
