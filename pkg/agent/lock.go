package agent

import (
	"crypto/rand"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// holdLock creates name and locks it until the file is closed or the process
// ends, however it ends. That is how the other side sees that it is gone. The
// file gets its name when it is locked: whoever finds it finds it locked.
func (h *handover) holdLock(name string) (*os.File, error) {
	aside := name + ".aside-" + rand.Text()
	file, err := h.root.OpenFile(aside, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return nil, fmt.Errorf("lock %s: %w", name, err)
	}
	err = unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if err == nil {
		err = h.root.Rename(aside, name)
	}
	if err != nil {
		file.Close()
		return nil, fmt.Errorf("lock %s: %w", name, err)
	}
	return file, nil
}

// isLocked says whether the process that locked name lives. Where locks do not
// reach from one container to the other it is always false, so only a change
// from true to false means something.
func (h *handover) isLocked(name string) bool {
	file, err := h.open(name, os.O_RDONLY)
	if err != nil {
		return false
	}
	defer file.Close()
	return unix.Flock(int(file.Fd()), unix.LOCK_SH|unix.LOCK_NB) == unix.EWOULDBLOCK
}
