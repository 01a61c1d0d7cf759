package confine

import (
	"errors"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"
)

// A Cursor does the work on the paths below a Root, and keeps the handles of the
// folders of the last path: at most [MaxDepth] of them. It is not safe for
// concurrent use; make one for each goroutine.
//
// Every name is a path that [Check] accepts. Where a folder is meant, "." is
// the root itself. Errors are *fs.PathError, or one of [ErrPath] and
// [*InTheWayError].
//
// A folder that was renamed or removed by somebody else than this Cursor may
// still be in its stack; see [Cursor.Forget].
type Cursor struct {
	root   int
	stack  []level
	path   string  // of the last level; "" at the root
	second *Cursor // walks the other path of Link and Rename
	dirent []byte  // buffer of ReadDir
}

type level struct {
	fd  int
	end int // where the level's component ends in path
}

// An InTheWayError says that something else is where a folder has to be: a
// file, a symlink, a device.
type InTheWayError struct{ Path string }

func (e *InTheWayError) Error() string { return fmt.Sprintf("%q is not a folder", e.Path) }

// Unwrap makes the error an ENOTDIR.
func (e *InTheWayError) Unwrap() error { return unix.ENOTDIR }

// Close releases the handles. The Cursor may be used again.
func (c *Cursor) Close() error {
	c.Forget()
	return nil
}

// Forget makes the next call start at the root, so that it sees folders that
// somebody else has put in the place of others.
func (c *Cursor) Forget() {
	c.keep(0)
	if c.second != nil {
		c.second.Forget()
	}
}

// parent returns the handle of the folder that name is in, and the name there.
func (c *Cursor) parent(op, name string) (dir int, base string, err error) {
	if err := Check(name); err != nil {
		return 0, "", failed(op, name, err)
	}
	slash := strings.LastIndexByte(name, '/')
	dir, err = c.descend(op, name[:max(slash, 0)], nil)
	return dir, name[slash+1:], err
}

// folder returns the handle of the folder name.
func (c *Cursor) folder(op, name string) (int, error) {
	if name == "." {
		c.keep(0)
		return c.root, nil
	}
	if err := Check(name); err != nil {
		return 0, failed(op, name, err)
	}
	return c.descend(op, name, nil)
}

// descend makes path the last level of the stack and returns its handle. It
// calls missing, unless nil, for a component that does not exist, and tries again.
func (c *Cursor) descend(op, path string, missing func(dir int, base, path string) error) (int, error) {
	c.keep(c.common(path))
	for len(c.path) < len(path) {
		start := len(c.path)
		if start > 0 {
			start++ // the slash
		}
		end := len(path)
		if i := strings.IndexByte(path[start:], '/'); i >= 0 {
			end = start + i
		}
		dir, base := c.top(), path[start:end]
		fd, err := openat(dir, base, openFolder|unix.O_NOFOLLOW, 0)
		if errors.Is(err, unix.ENOENT) && missing != nil {
			if err := missing(dir, base, path[:end]); err != nil {
				return 0, err
			}
			fd, err = openat(dir, base, openFolder|unix.O_NOFOLLOW, 0)
		}
		switch {
		case err == nil:
		case errors.Is(err, unix.ENOTDIR), errors.Is(err, unix.ELOOP):
			return 0, &InTheWayError{Path: path[:end]}
		default:
			return 0, failed(op, path[:end], err)
		}
		c.stack = append(c.stack, level{fd: fd, end: end})
		c.path = path[:end]
	}
	return c.top(), nil
}

func (c *Cursor) top() int {
	if len(c.stack) == 0 {
		return c.root
	}
	return c.stack[len(c.stack)-1].fd
}

// common returns how many levels of the stack are on the way to path.
func (c *Cursor) common(path string) int {
	same, limit := 0, min(len(path), len(c.path))
	for same < limit && path[same] == c.path[same] {
		same++
	}
	n := len(c.stack)
	for n > 0 {
		end := c.stack[n-1].end
		if end <= same && (end == len(path) || path[end] == '/') {
			break
		}
		n--
	}
	return n
}

// keep closes all levels but the first n.
func (c *Cursor) keep(n int) {
	if n == len(c.stack) {
		return
	}
	for _, l := range c.stack[n:] {
		_ = unix.Close(l.fd) // a folder that was only read
	}
	c.stack = c.stack[:n]
	end := 0
	if n > 0 {
		end = c.stack[n-1].end
	}
	c.path = c.path[:end]
}

// leave takes the folder name, and what is below it, off the stack.
func (c *Cursor) leave(name string) {
	for i, l := range c.stack {
		if l.end == len(name) && c.path[:l.end] == name {
			c.keep(i)
			break
		}
	}
	if c.second != nil {
		c.second.leave(name)
	}
}

// other returns the Cursor for the other path of a call that has two.
func (c *Cursor) other() *Cursor {
	if c.second == nil {
		c.second = &Cursor{root: c.root}
	}
	return c.second
}
