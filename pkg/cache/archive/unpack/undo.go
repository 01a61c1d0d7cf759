package unpack

import (
	"cmp"
	"errors"
	"io/fs"
	"slices"

	"github.com/runnerd/runnerd/pkg/cache/archive/tree"
	"github.com/runnerd/runnerd/pkg/confine"
)

// undo removes all that this restore has made, and puts back what had to make
// way. What cannot be undone is in the error, in part; the rest is undone.
func (r *restore) undo() error {
	u := &undoing{cursor: r.workers[0].cursor}
	u.cursor.Forget()
	var made []string
	for _, w := range r.workers {
		for _, l := range w.larges {
			_ = l.close() // it goes anyway
			u.remove(l.known.Path)
		}
		for i := range w.known {
			u.remove(w.known[i].Path)
		}
		made = append(made, w.made...)
	}
	for i := range r.late {
		if r.late[i].Kind != tree.Dir {
			u.remove(r.late[i].Path)
		}
	}
	slices.SortFunc(made, func(a, b string) int { return cmp.Compare(b, a) })
	for _, path := range made {
		u.try(path, u.cursor.RemoveDir)
	}
	r.journal.restore(u)
	return errors.Join(u.failed...)
}

// An undoing goes on when something fails.
type undoing struct {
	cursor *confine.Cursor
	failed []error // not more than a few
}

func (u *undoing) note(err error) {
	if err != nil && !errors.Is(err, fs.ErrNotExist) && len(u.failed) < 3 {
		u.failed = append(u.failed, err)
	}
}

func (u *undoing) remove(path string) { u.try(path, u.cursor.Remove) }

// try does something to path for which its folder has to be writable: the
// restore may have set permissions already.
func (u *undoing) try(path string, call func(string) error) {
	err := call(path)
	if errors.Is(err, fs.ErrPermission) && parentOf(path) != "" && u.cursor.ChmodDir(parentOf(path), 0o700) == nil {
		err = call(path)
	}
	u.note(err)
}

// restore puts everything back to where it was, and folders as they were.
func (j *journal) restore(u *undoing) {
	for _, m := range slices.Backward(j.moved) {
		u.try(m.from, func(from string) error { return u.cursor.Rename(m.to, from) })
	}
	if j.private != "" {
		u.note(u.cursor.RemoveDir(j.private))
	}
	slices.SortFunc(j.folders, func(a, b touched) int { return cmp.Compare(b.path, a.path) })
	for _, f := range j.folders {
		st, err := u.cursor.Lstat(f.path)
		if err == nil && st.Mode&0o7777 != f.perm {
			err = u.cursor.ChmodDir(f.path, f.perm)
		}
		if err == nil {
			err = u.cursor.SetMTime(f.path, f.mtime)
		}
		u.note(err)
	}
}
