package unpack

import (
	"errors"
	"io/fs"

	"github.com/runnerd/runnerd/pkg/cache/archive"
	"github.com/runnerd/runnerd/pkg/cache/archive/tree"
	"github.com/runnerd/runnerd/pkg/confine"
)

// file writes a whole file.
func (w *worker) file(h header, content []byte, origin tree.Origin) error {
	f, err := w.create(h.name, h.perm)
	if err != nil {
		return err
	}
	// From here on it is there, and has to be undone.
	w.known = append(w.known, tree.Known{Entry: tree.Entry{Path: h.name}, Sum: archive.SumOf(content), Origin: origin})
	_, err = f.Write(content)
	if err == nil {
		err = w.finishFile(f, h, &w.known[len(w.known)-1])
	}
	if closed := f.Close(); err == nil {
		err = closed // a network file system may say only now that it has no space
	}
	return failed("write", h.name, err)
}

// create makes a new file, whatever is in its place.
func (w *worker) create(name string, perm uint32) (confine.File, error) {
	f, err := w.cursor.Create(name, perm)
	if errors.Is(err, fs.ErrExist) {
		if err = w.journal.clear(w.cursor, name); err == nil {
			f, err = w.cursor.Create(name, perm)
		}
	}
	return f, err
}

// finishFile sets a complete file's attributes and takes note of them.
func (w *worker) finishFile(f confine.File, h header, known *tree.Known) error {
	if w.options.UID >= 0 || w.options.GID >= 0 {
		if err := f.Chown(w.options.UID, w.options.GID); err != nil {
			return err
		}
	}
	if h.perm&w.umask != 0 {
		if err := f.Chmod(h.perm); err != nil {
			return err
		}
	}
	if err := f.SetMTime(h.mtime); err != nil {
		return err
	}
	st, err := f.Stat()
	if err == nil && st.Mode&0o7777 != h.perm {
		// The first one that the umask has changed: the others get a chmod at once.
		w.umask |= h.perm &^ st.Mode
		if err = f.Chmod(h.perm); err == nil {
			st, err = f.Stat()
		}
	}
	if err != nil {
		return err
	}
	known.Stat, _ = tree.StatOf(st) // it is a file
	return nil
}

// failed says what an error of a File was about; nil stays nil.
func failed(op, name string, err error) error {
	if err == nil {
		return nil
	}
	return &fs.PathError{Op: op, Path: name, Err: err}
}
