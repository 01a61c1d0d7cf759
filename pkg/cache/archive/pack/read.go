package pack

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/runnerd/runnerd/pkg/cache/archive/tree"
	"github.com/runnerd/runnerd/pkg/confine"
)

// A changedError says that a file is no longer what the entry says.
type changedError struct{ path string }

func (e *changedError) Error() string {
	return fmt.Sprintf("%q has changed while the cache was being saved", e.path)
}

// open opens the file of e. It returns an fs.ErrNotExist if it has vanished and a
// changedError if something else is there now.
func open(c *confine.Cursor, e *tree.Entry) (confine.File, error) {
	f, _, err := c.Open(e.Path)
	if errors.Is(err, fs.ErrNotExist) {
		c.Forget() // the folder may be another one by now, with this file in it
		f, _, err = c.Open(e.Path)
	}
	var inTheWay *confine.InTheWayError
	if errors.Is(err, confine.ErrNotRegular) || errors.Is(err, unix.ELOOP) || errors.As(err, &inTheWay) {
		return f, &changedError{path: e.Path}
	}
	return f, err
}

// appendContent appends size bytes of f, from offset on, to dst.
func appendContent(dst []byte, f confine.File, e *tree.Entry, offset, size int64) ([]byte, error) {
	start := len(dst)
	dst = slices.Grow(dst, int(size))[:start+int(size)]
	n, err := f.ReadAt(dst[start:], offset)
	switch {
	case err == nil:
		return dst, nil
	case errors.Is(err, io.EOF):
		return dst[:start+n], &changedError{path: e.Path} // it has become shorter
	}
	return dst[:start+n], &fs.PathError{Op: "read", Path: e.Path, Err: err}
}

// unchanged checks, after f has been read, that all of it was what e describes.
// Whoever writes to a file, or truncates it, changes its ctime.
func unchanged(f confine.File, e *tree.Entry) error {
	st, err := f.Stat()
	switch {
	case err != nil:
		return &fs.PathError{Op: "stat", Path: e.Path, Err: err}
	case st.Size != e.Size, st.Mtim.Nano() != e.MTime, st.Ctim.Nano() != e.CTime:
		return &changedError{path: e.Path}
	}
	return nil
}
