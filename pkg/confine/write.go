package confine

import (
	"errors"

	"golang.org/x/sys/unix"
)

// MkdirAll makes the folder name and those above it that are missing, with perm
// less the process's umask, and calls made, unless nil, with the path of each
// one that it has made. It fails with an [*InTheWayError] that names what is not
// a folder. A folder that the last call has used costs nothing.
func (c *Cursor) MkdirAll(name string, perm uint32, made func(path string)) error {
	if err := Check(name); err != nil {
		return failed("mkdir", name, err)
	}
	_, err := c.descend("mkdir", name, func(dir int, base, path string) error {
		err := repeat(func() error { return unix.Mkdirat(dir, base, perm) })
		switch {
		case err == nil:
			if made != nil {
				made(path)
			}
			return nil
		case errors.Is(err, unix.EEXIST): // somebody was faster; what it is shows when it is opened
			return nil
		default:
			return failed("mkdir", path, err)
		}
	})
	return err
}

// Create makes the file name, with perm less the process's umask, and opens it
// for writing. Whatever is there already, even a dangling symlink, makes it fail
// with fs.ErrExist.
func (c *Cursor) Create(name string, perm uint32) (File, error) {
	dir, base, err := c.parent("create", name)
	if err != nil {
		return File{}, err
	}
	fd, err := openat(dir, base, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, perm)
	if err != nil {
		return File{}, failed("create", name, err)
	}
	return File{fd: fd}, nil
}

// Symlink makes name a symlink to target, which is not looked at. Whatever is
// there already makes it fail with fs.ErrExist.
func (c *Cursor) Symlink(target, name string) error {
	return c.at("symlink", name, func(dir int, base string) error { return unix.Symlinkat(target, dir, base) })
}

// Link makes name another name of the file old. If old is a symlink, name
// becomes the same symlink: it is not followed. Whatever is there already makes
// it fail with fs.ErrExist.
func (c *Cursor) Link(old, name string) error {
	from, oldBase, err := c.other().parent("link", old)
	if err != nil {
		return err
	}
	return c.at("link", name, func(dir int, base string) error { return unix.Linkat(from, oldBase, dir, base, 0) })
}

// Rename moves old to name, and replaces what is there if rename(2) does.
func (c *Cursor) Rename(old, name string) error {
	from, oldBase, err := c.other().parent("rename", old)
	if err != nil {
		return err
	}
	err = c.at("rename", name, func(dir int, base string) error { return unix.Renameat(from, oldBase, dir, base) })
	if err == nil {
		c.leave(old)
		c.leave(name)
	}
	return err
}

// Remove removes name, which is anything but a folder.
func (c *Cursor) Remove(name string) error {
	return c.at("remove", name, func(dir int, base string) error { return unix.Unlinkat(dir, base, 0) })
}

// RemoveDir removes the empty folder name.
func (c *Cursor) RemoveDir(name string) error {
	err := c.at("rmdir", name, func(dir int, base string) error { return unix.Unlinkat(dir, base, unix.AT_REMOVEDIR) })
	if err == nil {
		c.leave(name)
	}
	return err
}

// ChmodDir sets the permissions of the folder name, whatever the umask. It
// accepts ".".
func (c *Cursor) ChmodDir(name string, perm uint32) error {
	fd, err := c.folder("chmod", name)
	if err != nil {
		return err
	}
	return failed("chmod", name, repeat(func() error { return unix.Fchmod(fd, perm) }))
}

// SetMTime sets when name was modified, in ns since 1970. A symlink is not
// followed.
func (c *Cursor) SetMTime(name string, ns int64) error {
	return c.at("utimes", name, func(dir int, base string) error {
		return unix.UtimesNanoAt(dir, base, mtimeOnly(ns), unix.AT_SYMLINK_NOFOLLOW)
	})
}

// Lchown sets the owner of name. A symlink is not followed. -1 leaves one as it
// is.
func (c *Cursor) Lchown(name string, uid, gid int) error {
	return c.at("chown", name, func(dir int, base string) error {
		return unix.Fchownat(dir, base, uid, gid, unix.AT_SYMLINK_NOFOLLOW)
	})
}

// at does one system call on name in the handle of its folder.
func (c *Cursor) at(op, name string, call func(dir int, base string) error) error {
	dir, base, err := c.parent(op, name)
	if err != nil {
		return err
	}
	return failed(op, name, repeat(func() error { return call(dir, base) }))
}

// repeat repeats a system call that a signal interrupts.
func repeat(call func() error) error {
	for {
		if err := call(); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}
