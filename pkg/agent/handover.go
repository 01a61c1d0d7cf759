package agent

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

const (
	handoverDir  = "handover"
	announceFile = "build.json"
	exitFile     = "exit"
	helperLock   = "helper.lock"
	buildLock    = "build.lock"
	claimFile    = "claim"

	// maxMessage bounds what is read of one file.
	maxMessage = 1 << 20
)

func requestFile(n int) string { return fmt.Sprintf("step-%d.json", n) }
func spoolFile(n int) string   { return fmt.Sprintf("step-%d.log", n) }
func keepFile(n int) string    { return fmt.Sprintf("step-%d.keep", n) }
func stopFile(n int) string    { return fmt.Sprintf("step-%d.stop", n) }
func resultFile(n int) string  { return fmt.Sprintf("step-%d.result", n) }

// An announcement is what the build side says of itself when it starts.
type announcement struct {
	UID      int    `json:"uid"`
	GID      int    `json:"gid"`
	Shell    string `json:"shell"` // empty: the image has none
	Hostname string `json:"hostname"`
	Error    string `json:"error,omitempty"` // why no step can run
}

// A stepRequest asks for a step.
type stepRequest struct {
	Name   string `json:"name"`
	Status string `json:"status"` // CI_JOB_STATUS
}

// An exitNotice says that no step follows.
type exitNotice struct {
	Failed bool `json:"failed,omitempty"` // the job has, for whatever reason
}

// A stopRequest ends a step.
type stopRequest struct {
	Grace time.Duration `json:"grace"` // between the polite and the hard signal
}

// A stepResult is how a step's shell ended.
type stepResult struct {
	ExitCode   int    `json:"exit_code"`
	Terminated bool   `json:"terminated,omitempty"` // the build container was told to stop
	Error      string `json:"error,omitempty"`      // the step could not be run
	Memory     string `json:"memory,omitempty"`     // what of it was killed for lack of memory
}

// A handover is the directory where helper and build side meet.
type handover struct {
	path string
	root *os.Root
}

// createHandover makes the directory. Both sides, under different users, write
// there; each can only remove its own files.
func createHandover(share string) (*handover, error) {
	path := filepath.Join(share, handoverDir)
	if err := os.MkdirAll(path, 0o777); err != nil {
		return nil, fmt.Errorf("create hand-over directory: %w", err)
	}
	if err := os.Chmod(path, 0o777|fs.ModeSticky); err != nil {
		return nil, fmt.Errorf("create hand-over directory: %w", err)
	}
	return openHandover(share)
}

func openHandover(share string) (*handover, error) {
	path := filepath.Join(share, handoverDir)
	root, err := os.OpenRoot(path)
	if err != nil {
		return nil, fmt.Errorf("open hand-over directory: %w", err)
	}
	return &handover{path: path, root: root}, nil
}

func (h *handover) Close() error { return h.root.Close() }

// claim takes the right to say what becomes of the job: that of its first script to
// begin, or that of a second helper to let none begin. It returns errSuperseded when
// the other helper has it.
func (h *handover) claim() error {
	file, err := h.root.OpenFile(claimFile, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return errSuperseded
	}
	if err != nil {
		return fmt.Errorf("claim the job: %w", err)
	}
	return file.Close()
}

// write writes message as a whole: who sees the file sees all of it. The name
// aside is one that a script cannot have taken before.
func (h *handover) write(name string, message any) error {
	text, err := json.Marshal(message)
	if err != nil {
		return fmt.Errorf("hand over %s: %w", name, err)
	}
	aside := "." + name + "-" + rand.Text()
	file, err := h.root.OpenFile(aside, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return fmt.Errorf("hand over %s: %w", name, err)
	}
	_, err = file.Write(text)
	// The mode must not depend on the image's umask.
	if err := errors.Join(err, file.Chmod(0o644), file.Close()); err != nil {
		return fmt.Errorf("hand over %s: %w", name, err)
	}
	if err := h.root.Rename(aside, name); err != nil {
		return fmt.Errorf("hand over %s: %w", name, err)
	}
	return nil
}

// read reads the message in name; found is false while there is none.
func (h *handover) read(name string, message any) (found bool, err error) {
	file, err := h.open(name, os.O_RDONLY)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("read %s: %w", name, err)
	}
	defer file.Close()
	if err := json.NewDecoder(io.LimitReader(file, maxMessage)).Decode(message); err != nil {
		return false, fmt.Errorf("read %s: %w", name, err)
	}
	return true, nil
}

// writeText is write for a text. It may be there already, of an earlier try.
func (h *handover) writeText(name string, text []byte) error {
	aside := "." + name + "-" + rand.Text()
	if err := h.root.WriteFile(aside, text, 0o644); err != nil {
		return fmt.Errorf("hand over %s: %w", name, err)
	}
	if err := errors.Join(h.root.Chmod(aside, 0o644), h.root.Rename(aside, name)); err != nil {
		return fmt.Errorf("hand over %s: %w", name, err)
	}
	return nil
}

// readText returns what writeText has written.
func (h *handover) readText(name string) ([]byte, error) {
	file, err := h.open(name, os.O_RDONLY)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	defer file.Close()
	return io.ReadAll(io.LimitReader(file, maxMessage))
}

// open opens a regular file. A script can put anything in its place: a named
// pipe, for one, would block whoever opens it.
func (h *handover) open(name string, flag int) (*os.File, error) {
	file, err := h.root.OpenFile(name, flag|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	if info, err := file.Stat(); err != nil || !info.Mode().IsRegular() {
		file.Close()
		return nil, fmt.Errorf("%s is no regular file", name)
	}
	return file, nil
}

func (h *handover) exists(name string) bool {
	_, err := h.root.Lstat(name)
	return err == nil
}
