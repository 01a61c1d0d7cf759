package confine

import (
	"bytes"
	"encoding/binary"
	"errors"

	"golang.org/x/sys/unix"
)

// ErrNotRegular is the cause when Open finds something else than a file.
var ErrNotRegular = errors.New("not a regular file")

// Open opens the regular file name for reading. A symlink fails with ELOOP, a
// folder, device or pipe with [ErrNotRegular]; a pipe without a writer does not
// block.
func (c *Cursor) Open(name string) (File, unix.Stat_t, error) {
	dir, base, err := c.parent("open", name)
	if err != nil {
		return File{}, unix.Stat_t{}, err
	}
	fd, err := openat(dir, base, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return File{}, unix.Stat_t{}, failed("open", name, err)
	}
	f := File{fd: fd}
	st, err := f.Stat()
	if err == nil && st.Mode&unix.S_IFMT != unix.S_IFREG {
		err = ErrNotRegular
	}
	if err != nil {
		_ = f.Close() // nothing was written
		return File{}, unix.Stat_t{}, failed("open", name, err)
	}
	return f, st, nil
}

// Lstat tells of name itself, also if it is a symlink. It accepts ".".
func (c *Cursor) Lstat(name string) (unix.Stat_t, error) {
	if name == "." {
		st, err := File{fd: c.root}.Stat()
		return st, failed("lstat", name, err)
	}
	dir, base, err := c.parent("lstat", name)
	if err != nil {
		return unix.Stat_t{}, err
	}
	var st unix.Stat_t
	for {
		err := unix.Fstatat(dir, base, &st, unix.AT_SYMLINK_NOFOLLOW)
		if !errors.Is(err, unix.EINTR) {
			return st, failed("lstat", name, err)
		}
	}
}

// Readlink returns the target of the symlink name. Anything else fails with
// EINVAL.
func (c *Cursor) Readlink(name string) (string, error) {
	dir, base, err := c.parent("readlink", name)
	if err != nil {
		return "", err
	}
	for size := 256; ; size *= 4 {
		buf := make([]byte, size)
		n, err := unix.Readlinkat(dir, base, buf)
		if errors.Is(err, unix.EINTR) {
			size /= 4
			continue
		}
		if err != nil {
			return "", failed("readlink", name, err)
		}
		if n < size {
			return string(buf[:n]), nil
		}
	}
}

// A DirEntry is one entry of a folder.
type DirEntry struct {
	Name string
	Type uint8 // unix.DT_REG, DT_DIR, DT_LNK, …; DT_UNKNOWN if the file system does not say
}

// ReadDir appends the entries of the folder name to list, in the file system's
// order, without "." and "..". It accepts ".".
func (c *Cursor) ReadDir(list []DirEntry, name string) ([]DirEntry, error) {
	fd, err := c.folder("readdir", name)
	if err != nil {
		return list, err
	}
	if c.dirent == nil {
		c.dirent = make([]byte, 32<<10)
	}
	// The handle may have been read before.
	if _, err := unix.Seek(fd, 0, 0); err != nil {
		return list, failed("readdir", name, err)
	}
	for {
		n, err := unix.Getdents(fd, c.dirent)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return list, failed("readdir", name, err)
		case n == 0:
			return list, nil
		}
		list = appendEntries(list, c.dirent[:n])
	}
}

// Where struct linux_dirent64 has its fields.
const (
	direntLength = 16
	direntType   = 18
	direntName   = 19
)

func appendEntries(list []DirEntry, buf []byte) []DirEntry {
	for len(buf) > direntName {
		length := binary.NativeEndian.Uint16(buf[direntLength:])
		name, _, _ := bytes.Cut(buf[direntName:length], []byte{0})
		if s := string(name); s != "." && s != ".." {
			list = append(list, DirEntry{Name: s, Type: buf[direntType]})
		}
		buf = buf[length:]
	}
	return list
}
