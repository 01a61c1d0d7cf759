package confine

import (
	"errors"
	"io/fs"

	"golang.org/x/sys/unix"
)

// A Root is a directory that nothing gets out of. It is safe for concurrent
// use.
type Root struct {
	fd  int
	dir string
}

const openFolder = unix.O_RDONLY | unix.O_DIRECTORY | unix.O_CLOEXEC

// Open returns the directory dir as a Root. The path dir itself is trusted:
// symlinks in it are followed.
func Open(dir string) (*Root, error) {
	fd, err := openat(unix.AT_FDCWD, dir, openFolder, 0)
	if err != nil {
		return nil, failed("open", dir, err)
	}
	return &Root{fd: fd, dir: dir}, nil
}

// Close ends the use of r. Its Cursors have to be closed before.
func (r *Root) Close() error { return unix.Close(r.fd) }

// Fd returns the directory's handle, which is r's.
func (r *Root) Fd() int { return r.fd }

// Dir returns the path with which r was opened, for messages.
func (r *Root) Dir() string { return r.dir }

// Statfs tells of the file system that r's directory is on.
func (r *Root) Statfs() (unix.Statfs_t, error) {
	var st unix.Statfs_t
	for {
		if err := unix.Fstatfs(r.fd, &st); !errors.Is(err, unix.EINTR) {
			return st, failed("statfs", r.dir, err)
		}
	}
}

// Cursor returns a new Cursor that begins at r.
func (r *Root) Cursor() *Cursor { return &Cursor{root: r.fd} }

// failed wraps the error of a system call on name; nil stays nil.
func failed(op, name string, err error) error {
	if err == nil {
		return nil
	}
	return &fs.PathError{Op: op, Path: name, Err: err}
}

// openat is the system call, repeated when a signal interrupts it: network file
// systems let that happen.
func openat(dir int, name string, flags int, perm uint32) (int, error) {
	for {
		fd, err := unix.Openat(dir, name, flags, perm)
		if !errors.Is(err, unix.EINTR) {
			return fd, err
		}
	}
}
