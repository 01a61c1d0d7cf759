package agent

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// giveProject makes the job's directories writable for the build container's
// user: they become the user's own. Only where that is not allowed, they become
// writable for everybody.
func (h *helper) giveProject() error {
	me := os.Geteuid()
	if h.build.UID == me || h.build.UID == 0 {
		return nil
	}
	change := func(path string, info fs.FileInfo) error {
		if s, ok := info.Sys().(*syscall.Stat_t); ok && int(s.Uid) == h.build.UID && int(s.Gid) == h.build.GID {
			return nil
		}
		return os.Lchown(path, h.build.UID, h.build.GID)
	}
	if !h.mayGive() {
		h.log.Warn(fmt.Sprintf("the helper runs as user %d and the build container as user %d: the project's files become writable for everybody", me, h.build.UID))
		change = openToAll
	}
	for _, dir := range h.made {
		info, err := os.Lstat(dir)
		if err == nil {
			err = change(dir, info)
		}
		if err != nil {
			return fmt.Errorf("hand the project's files to user %d: %w", h.build.UID, err)
		}
	}
	for _, dir := range []string{h.plan.ProjectDir, h.plan.TempDir, h.plan.MemoryDir} {
		if dir == "" {
			continue
		}
		if err := walk(dir, change); err != nil {
			return fmt.Errorf("hand the project's files to user %d: %w", h.build.UID, err)
		}
	}
	return nil
}

// mayGive reports whether the helper can make the build container's user the owner
// of a file. Root cannot where its container lacks the capability CHOWN.
func (h *helper) mayGive() bool {
	if os.Geteuid() != 0 {
		return false
	}
	probe, err := os.CreateTemp(h.private, "owner-")
	if err != nil {
		return true // what is wrong is told by what is tried next
	}
	defer os.Remove(probe.Name())
	defer probe.Close()
	return !errors.Is(probe.Chown(h.build.UID, h.build.GID), fs.ErrPermission)
}

// openToAll gives everybody what the owner may do. Files of others stay.
func openToAll(path string, info fs.FileInfo) error {
	if info.Mode()&fs.ModeSymlink != 0 {
		return nil
	}
	owner := info.Mode().Perm() & 0o700
	err := os.Chmod(path, owner|owner>>3|owner>>6)
	if errors.Is(err, fs.ErrPermission) {
		return nil
	}
	return err
}

func walk(dir string, change func(string, fs.FileInfo) error) error {
	return filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		return change(path, info)
	})
}

// give hands one file to the build container's user.
func (h *helper) give(file *os.File) error {
	switch {
	case h.build.UID == os.Geteuid(), h.build.UID == 0:
		return nil
	case h.mayGive():
		return file.Chown(h.build.UID, h.build.GID)
	}
	return file.Chmod(0o666)
}
