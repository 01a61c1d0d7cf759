package confine

import (
	"errors"
	"io"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A File is the handle of a regular file. It is thinner than an os.File, which
// for each file asks twice whether it could wait for it: with thousands of small
// files that counts. So there is no finalizer, Close must be called once, and
// errors are plain errnos. Its methods are safe for concurrent use, but for Close.
type File struct{ fd int }

// Close closes the file.
func (f File) Close() error { return unix.Close(f.fd) }

// Fd returns the descriptor, which is f's.
func (f File) Fd() int { return f.fd }

// Stat is fstat.
func (f File) Stat() (unix.Stat_t, error) {
	var st unix.Stat_t
	for {
		if err := unix.Fstat(f.fd, &st); !errors.Is(err, unix.EINTR) {
			return st, err
		}
	}
}

// Read is io.Reader's.
func (f File) Read(p []byte) (int, error) {
	return read(p, func() (int, error) { return unix.Read(f.fd, p) })
}

// ReadAt is io.ReaderAt's.
func (f File) ReadAt(p []byte, offset int64) (int, error) {
	done := 0
	for done < len(p) {
		n, err := read(p[done:], func() (int, error) { return unix.Pread(f.fd, p[done:], offset+int64(done)) })
		done += n
		if err != nil {
			return done, err
		}
	}
	return done, nil
}

// Write is io.Writer's.
func (f File) Write(p []byte) (int, error) {
	return write(p, func(done int) (int, error) { return unix.Write(f.fd, p[done:]) })
}

// WriteAt is io.WriterAt's.
func (f File) WriteAt(p []byte, offset int64) (int, error) {
	return write(p, func(done int) (int, error) { return unix.Pwrite(f.fd, p[done:], offset+int64(done)) })
}

// Truncate sets the size.
func (f File) Truncate(size int64) error {
	return repeat(func() error { return unix.Ftruncate(f.fd, size) })
}

// Chmod sets the permissions, whatever the umask.
func (f File) Chmod(perm uint32) error {
	return repeat(func() error { return unix.Fchmod(f.fd, perm) })
}

// Chown sets the owner; -1 leaves one as it is.
func (f File) Chown(uid, gid int) error {
	return repeat(func() error { return unix.Fchown(f.fd, uid, gid) })
}

// SetMTime sets when the file was modified, in ns since 1970.
func (f File) SetMTime(ns int64) error {
	times := mtimeOnly(ns)
	return repeat(func() error {
		// What futimens(3) does; package unix has no name for it. A nil path means
		// the descriptor itself.
		_, _, errno := unix.Syscall6(unix.SYS_UTIMENSAT, uintptr(f.fd), 0, uintptr(unsafe.Pointer(&times[0])), 0, 0, 0)
		if errno != 0 {
			return errno
		}
		return nil
	})
}

// mtimeOnly is the argument of utimensat that leaves the time of access alone.
func mtimeOnly(ns int64) []unix.Timespec {
	return []unix.Timespec{{Nsec: unix.UTIME_OMIT}, unix.NsecToTimespec(ns)}
}

func read(p []byte, call func() (int, error)) (int, error) {
	for {
		n, err := call()
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return 0, err
		case n == 0 && len(p) > 0:
			return 0, io.EOF
		default:
			return n, nil
		}
	}
}

func write(p []byte, call func(done int) (int, error)) (int, error) {
	done := 0
	for done < len(p) {
		n, err := call(done)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return done, err
		}
		done += n
	}
	return done, nil
}
