// Package tree knows the files of a cache: which ones there are, what is known
// of them since they were restored, and what has changed since.
package tree

import (
	"golang.org/x/sys/unix"

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

// StatOf returns what a system call said in the form of this package; ok is
// false for a device, pipe or socket.
func StatOf(st unix.Stat_t) (stat Stat, ok bool) {
	stat = Stat{
		Perm: uint16(st.Mode & 0o777), Size: st.Size,
		MTime: st.Mtim.Nano(), CTime: st.Ctim.Nano(), Inode: st.Ino,
	}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFREG:
		stat.Kind = File
	case unix.S_IFDIR:
		stat.Kind, stat.Size = Dir, 0
	case unix.S_IFLNK:
		stat.Kind = Symlink
	default:
		return Stat{}, false
	}
	return stat, true
}

// An Entry is one file, folder or symlink that belongs to a cache.
type Entry struct {
	Path string // relative to the project directory, clean, with slashes
	Stat
	Target string // of a Symlink, as it is
	Link   string // of a File: path of an earlier entry without a Link that is the same inode
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
