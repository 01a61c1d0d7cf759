package unpack

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/runnerd/runnerd/pkg/cache/archive/tree"
)

// finish makes what has to wait until all files are there: hard links, which
// need their file; symlinks, so that none was there when something was written;
// and the folders' attributes, which change with what is put into them.
func (r *restore) finish(ctx context.Context) error {
	var hard, symbolic []linkEntry
	var folders []folderEntry
	for _, w := range r.workers {
		folders = append(folders, w.folders...)
		for _, l := range w.links {
			if l.kind == kindLink {
				hard = append(hard, l)
			} else {
				symbolic = append(symbolic, l)
			}
		}
	}
	if err := r.hardLinks(ctx, hard); err != nil {
		return err
	}
	slices.SortFunc(symbolic, func(a, b linkEntry) int { return cmp.Compare(a.name, b.name) })
	for _, l := range symbolic {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err := r.symlink(l); err != nil {
			return err
		}
	}
	if err := r.chownFolders(); err != nil {
		return err
	}
	// The deepest first: a folder's permissions may close it.
	slices.SortFunc(folders, func(a, b folderEntry) int { return cmp.Compare(b.path, a.path) })
	for _, f := range folders {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err := r.folderAttributes(f); err != nil {
			return err
		}
	}
	return nil
}

// hardLinks makes the hard links, each to a file that the same layer has brought.
func (r *restore) hardLinks(ctx context.Context, links []linkEntry) error {
	if len(links) == 0 {
		return nil
	}
	targets := make(map[string]*tree.Known, len(links))
	for _, l := range links {
		targets[l.link] = nil
	}
	want := func(k *tree.Known) {
		if _, ok := targets[k.Path]; ok {
			targets[k.Path] = k
		}
	}
	for _, w := range r.workers {
		for i := range w.known {
			want(&w.known[i])
		}
		for _, l := range w.larges {
			want(&l.known)
		}
	}
	slices.SortFunc(links, func(a, b linkEntry) int { return cmp.Compare(a.name, b.name) })
	for _, l := range links {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		target := targets[l.link]
		if target == nil || target.Origin != l.origin {
			return fmt.Errorf("%w: %.200q is a hard link to %.200q, which is no file of its layer", ErrUnsafe, l.name, l.link)
		}
		if err := r.hardLink(l, target); err != nil {
			return err
		}
	}
	return nil
}

func (r *restore) hardLink(l linkEntry, target *tree.Known) error {
	c := r.workers[0].cursor
	if err := r.make(l.name, func() error { return c.Link(l.link, l.name) }); err != nil {
		return err
	}
	r.late = append(r.late, tree.Known{Entry: tree.Entry{Path: l.name, Link: l.link}, Sum: target.Sum, Origin: l.origin})
	st, err := c.Lstat(l.name)
	if err != nil {
		return err
	}
	stat, _ := tree.StatOf(st)
	if stat.Kind != tree.File || stat.Inode != target.Inode {
		return fmt.Errorf("%w: %.200q is not the file any more that was restored", ErrUnsafe, l.link)
	}
	r.late[len(r.late)-1].Stat = stat
	target.Stat = stat // its ctime is another one now
	return nil
}

func (r *restore) symlink(l linkEntry) error {
	c := r.workers[0].cursor
	if err := r.make(l.name, func() error { return c.Symlink(l.link, l.name) }); err != nil {
		return err
	}
	r.late = append(r.late, tree.Known{Entry: tree.Entry{Path: l.name, Target: l.link}, Origin: l.origin})
	if err := r.chown(l.name); err != nil {
		return err
	}
	if err := c.SetMTime(l.name, l.mtime); err != nil {
		return err
	}
	st, err := c.Lstat(l.name)
	if err != nil {
		return err
	}
	stat, ok := tree.StatOf(st)
	if !ok || stat.Kind != tree.Symlink {
		return &fs.PathError{Op: "symlink", Path: l.name, Err: unix.EEXIST}
	}
	r.late[len(r.late)-1].Stat = stat
	return nil
}

// make makes name, whatever is in its place.
func (r *restore) make(name string, call func() error) error {
	err := call()
	if errors.Is(err, fs.ErrExist) {
		if err = r.journal.clear(r.workers[0].cursor, name); err == nil {
			err = call()
		}
	}
	return err
}

// chown gives a new symlink or folder to its owner.
func (r *restore) chown(name string) error {
	if r.options.UID < 0 && r.options.GID < 0 {
		return nil
	}
	return r.workers[0].cursor.Lchown(name, r.options.UID, r.options.GID)
}

func (r *restore) chownFolders() error {
	for _, w := range r.workers {
		for _, path := range w.made {
			if err := r.chown(path); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r *restore) folderAttributes(f folderEntry) error {
	c := r.workers[0].cursor
	st, err := c.Lstat(f.path)
	if err != nil {
		return err
	}
	if st.Mode&0o7777 != f.perm {
		if err := c.ChmodDir(f.path, f.perm); err != nil {
			return err
		}
	}
	if err := c.SetMTime(f.path, f.mtime); err != nil {
		return err
	}
	// Of a folder nothing but its permissions is ever compared.
	known := tree.Known{Entry: tree.Entry{Path: f.path}, Origin: f.origin}
	known.Kind, known.Perm, known.MTime, known.Inode = tree.Dir, uint16(f.perm), f.mtime, st.Ino
	r.late = append(r.late, known)
	return nil
}
