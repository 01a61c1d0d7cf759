package unpack

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/runnerd/runnerd/pkg/confine"
)

// A journal knows what was there before the restore, so that it can be brought
// back: what had to make way is moved, not removed. What the restore makes is
// known to the workers.
type journal struct {
	mu      sync.Mutex
	token   string // in the names of what is moved aside: nobody can guess it
	private string // folder that things are moved to; "" until one is needed
	moved   []move
	folders []touched
}

// A move is something that is somewhere else for the time of the restore.
type move struct{ from, to string }

// A touched is a folder that was there and gets something put into it.
type touched struct {
	path  string
	perm  uint32
	mtime int64
}

func newJournal() *journal { return &journal{token: ".runnerd-restore-" + rand.Text()} }

// touch takes note of a folder as it is before anything is put into it.
func (j *journal) touch(path string, st *unix.Stat_t) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.folders = append(j.folders, touched{path: path, perm: st.Mode & 0o7777, mtime: st.Mtim.Nano()})
}

// clear makes place for path, which is claimed as something that is not a folder.
func (j *journal) clear(c *confine.Cursor, path string) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.move(c, path)
}

// clearForFolder makes place for the folder path, unless another worker has done
// so since.
func (j *journal) clearForFolder(c *confine.Cursor, path string) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	st, err := c.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case st.Mode&unix.S_IFMT == unix.S_IFDIR:
		return nil
	}
	return j.move(c, path)
}

func (j *journal) move(c *confine.Cursor, path string) error {
	if j.private == "" {
		if err := c.MkdirAll(j.token, 0o700, nil); err != nil {
			return fmt.Errorf("make a folder for what has to make way: %w", err)
		}
		j.private = j.token
	}
	n := strconv.Itoa(len(j.moved))
	to := j.private + "/" + n
	err := c.Rename(path, to)
	if errors.Is(err, unix.EXDEV) { // a mount point is above path, and not at it
		to = j.token + "-" + n
		if folder := parentOf(path); folder != "" {
			to = folder + "/" + to
		}
		err = c.Rename(path, to)
	}
	if err != nil {
		return fmt.Errorf("move aside what is there: %w", err)
	}
	j.moved = append(j.moved, move{from: path, to: to})
	return nil
}

// forget removes what was moved aside, when the restore is complete. It returns
// the first path where something is left.
func (j *journal) forget(c *confine.Cursor) (left string) {
	for _, m := range j.moved {
		if err := removeAll(c, m.to); err != nil && left == "" {
			left = m.to
		}
	}
	if j.private != "" {
		if err := c.RemoveDir(j.private); err != nil && left == "" {
			left = j.private
		}
	}
	return left
}

// removeAll removes path and what is below it.
func removeAll(c *confine.Cursor, path string) error {
	err := c.Remove(path)
	if !errors.Is(err, unix.EISDIR) && !errors.Is(err, unix.EPERM) { // the second is POSIX's word for a folder
		return err
	}
	if err := c.ChmodDir(path, 0o700); err != nil {
		return err
	}
	list, err := c.ReadDir(nil, path)
	if err != nil {
		return err
	}
	for _, e := range list {
		if err := removeAll(c, path+"/"+e.Name); err != nil {
			return err
		}
	}
	return c.RemoveDir(path)
}
