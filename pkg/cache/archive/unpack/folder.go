package unpack

import (
	"errors"
	"io/fs"

	"golang.org/x/sys/unix"

	"github.com/runnerd/runnerd/pkg/confine"
)

// newFolder are the permissions of a folder until its own are set, and those of
// a folder that has no entry.
const newFolder = 0o755

// dir unpacks a folder's entry. Its attributes are set in the end.
func (w *worker) dir(s *stream, h header) error {
	if err := w.enter(h.name); err != nil {
		return err
	}
	if err := w.claims.entry(h.name); err != nil {
		return err
	}
	w.folders = append(w.folders, folderEntry{path: h.name, perm: h.perm, mtime: h.mtime, origin: s.origin})
	return nil
}

// enter makes sure that the folder name is there; "" is the root.
func (w *worker) enter(name string) error {
	if name == "" || name == w.folder {
		return nil
	}
	if err := w.claimFolders(name); err != nil {
		return err
	}
	for {
		err := w.cursor.MkdirAll(name, newFolder, func(path string) { w.made = append(w.made, path) })
		var blocked *confine.InTheWayError
		switch {
		case err == nil:
			w.folder = name
			return nil
		case !errors.As(err, &blocked):
			return err
		}
		// Each round has one level less to clear.
		if err := w.journal.clearForFolder(w.cursor, blocked.Path); err != nil {
			return err
		}
	}
}

// claimFolders claims the folder name and those above it, the uppermost first:
// what has been claimed stays a folder for what is below it.
func (w *worker) claimFolders(name string) error {
	fresh := false
	for end := 0; end < len(name); {
		end++
		for end < len(name) && name[end] != '/' {
			end++
		}
		path := name[:end]
		above := fresh
		var err error
		fresh, err = w.claims.folder(path, func() (bool, error) { return w.absent(path, above) })
		if err != nil {
			return err
		}
	}
	return nil
}

// absent says whether there is no folder path, and takes note of it if there is
// one. That is called once for each, before anything is put into it. above says
// that the folder above was not there either.
func (w *worker) absent(path string, above bool) (bool, error) {
	if above {
		return true, nil
	}
	st, err := w.cursor.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return true, nil
	case err != nil:
		return false, err
	case st.Mode&unix.S_IFMT != unix.S_IFDIR: // it will be moved aside
		return true, nil
	}
	w.journal.touch(path, &st)
	return false, nil
}
