// Package tree knows the files of a cache: which ones there are, what is known
// of them since they were restored, and what has changed since.
package tree

import (
	"github.com/runnerd/runnerd/pkg/cache/archive"
)

// A Kind is what an entry is.
type Kind uint8

// The kinds. Nothing else is ever archived or restored.
const (
	File Kind = iota + 1
	Dir
	Symlink
)

// A Stat is what lstat says of an entry, as far as a change would show in it.
type Stat struct {
	Kind  Kind
	Perm  uint16 // permission bits, 0777 at most
	Size  int64  // bytes; 0 for a Dir
	MTime int64  // ns since 1970
	CTime int64
	Inode uint64
}

// An Entry is one file, folder or symlink that belongs to a cache.
type Entry struct {
	Path string // relative to the project directory, clean, with slashes
	Stat
	Target string // of a Symlink, as it is
	Link   string // of a File: path of an earlier entry that is the same inode
}

// An Origin says from where a restored entry came.
type Origin uint8

// The origins.
const (
	FromBase Origin = iota + 1
	FromDelta
)

// A Known is what is recorded of an entry that was restored.
type Known struct {
	Entry
	Sum    archive.Sum // content of a File; the zero Sum means unknown
	Origin Origin
}
