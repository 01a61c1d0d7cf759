package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"go.uber.org/zap"

	"github.com/runnerd/runnerd/pkg/gitlab"
)

// A manager is what GitLab and the cluster know this process by.
type manager struct {
	systemID string
	// place names where the system ID is kept. A process that has the same place has
	// had it before this one, and is dead: this one has locked it.
	place string
	lock  *os.File // nil: the system ID is for this process only
}

const systemIDFile = ".runner_system_id"

// stateDirVariable names the folder of the manager's identity, where that of the
// config file cannot be written, as with a mounted ConfigMap.
const stateDirVariable = "RUNNERD_STATE_DIR"

// systemIDPath is where the manager's identity is kept: in RUNNERD_STATE_DIR, or else
// beside the config file; "" when there is neither.
func systemIDPath(configPath string) string {
	if dir := os.Getenv(stateDirVariable); dir != "" {
		return filepath.Join(dir, systemIDFile)
	}
	if configPath == "" {
		return ""
	}
	return filepath.Join(filepath.Dir(configPath), systemIDFile)
}

// loadSystemID returns the manager's identity for a command that runs beside the
// daemon.
func loadSystemID(configPath string) (string, error) {
	id, err := gitlab.LoadSystemID(systemIDPath(configPath), "")
	if id != "" {
		return id, nil
	}
	return "", err
}

// claimManager takes the system ID that is kept on this machine. Where it cannot be
// written, or another process uses it, this one has an ID that lasts as long as
// itself. The jobs of a process that is dead are adopted either way, sooner when the
// ID is the same.
func claimManager(configPath string, log *zap.Logger) (*manager, error) {
	path := systemIDPath(configPath)
	if path == "" {
		return newManager()
	}
	for {
		id, err := gitlab.LoadSystemID(path, "")
		if err != nil && id == "" {
			return nil, err
		}
		if err != nil {
			log.Warn("system id not stored: after a restart GitLab will see another runner manager", zap.Error(err))
			return newManager()
		}
		m, err := lockManager(path, id)
		switch {
		case errors.Is(err, syscall.EWOULDBLOCK):
			log.Warn("another runnerd uses the system id of this file; this one takes another as long as it runs", zap.String("path", path))
			return newManager()
		case errors.Is(err, errReplaced):
			continue
		}
		return m, err
	}
}

// errReplaced says that two processes have made the file at the same time.
var errReplaced = errors.New("the file has been replaced")

// lockManager locks the file that id was read from, until the process ends.
func lockManager(path, id string) (*manager, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("lock system id: %w", err)
	}
	locked, err := func() (os.FileInfo, error) {
		if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
			return nil, fmt.Errorf("lock %q: %w", path, err)
		}
		locked, err := file.Stat()
		if err != nil {
			return nil, fmt.Errorf("lock system id: %w", err)
		}
		if there, err := os.Stat(path); err != nil || !os.SameFile(there, locked) {
			return nil, errReplaced
		}
		if now, err := gitlab.LoadSystemID(path, ""); err != nil || now != id {
			return nil, errReplaced
		}
		return locked, nil
	}()
	if err != nil {
		_ = file.Close()
		return nil, err
	}
	return &manager{systemID: id, place: filePlace(locked), lock: file}, nil
}

// filePlace names a file among those of all machines.
func filePlace(file os.FileInfo) string {
	host, err := os.Hostname()
	if err != nil {
		return rand.Text()
	}
	stat, ok := file.Sys().(*syscall.Stat_t)
	if !ok {
		return rand.Text()
	}
	return fmt.Sprintf("%s/%x-%x", host, stat.Dev, stat.Ino)
}

// newManager returns one that no other process has.
func newManager() (*manager, error) {
	dir, err := os.MkdirTemp("", product)
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	id, err := gitlab.LoadSystemID(filepath.Join(dir, systemIDFile), "")
	return &manager{systemID: id, place: rand.Text()}, err
}

// release unlocks the system ID.
func (m *manager) release() {
	if m.lock != nil {
		_ = m.lock.Close()
	}
}
