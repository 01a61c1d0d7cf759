// Package procs finds processes in /proc and ends them, by process id only.
//
// A process id says little once its process is gone, as the kernel hands it
// out again. So a process is identified by its id and its start time, and a
// signal is sent through a handle (pidfd) opened before that was checked.
package procs

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// An ID identifies one process for as long as the machine runs.
type ID struct {
	PID   int    `json:"pid"`
	Start uint64 `json:"start"` // clock ticks since boot
}

// Get identifies the process that has pid now. Zombies count as gone, as they
// hold nothing and only their parent can remove them; but a process whose first
// thread alone has ended looks like one too, and is not.
func Get(pid int) (ID, bool) {
	fields := stat(pid)
	const state, threads, start = 0, 17, 19
	if len(fields) <= start {
		return ID{}, false
	}
	if dead := fields[state] == "Z" || fields[state] == "X"; dead && (fields[threads] == "0" || fields[threads] == "1") {
		return ID{}, false
	}
	ticks, err := strconv.ParseUint(fields[start], 10, 64)
	if err != nil {
		return ID{}, false
	}
	return ID{PID: pid, Start: ticks}, true
}

// Parent is the id of pid's parent, or 0.
func Parent(pid int) int {
	fields := stat(pid)
	if len(fields) < 2 {
		return 0
	}
	parent, _ := strconv.Atoi(fields[1])
	return parent
}

// stat returns the fields of /proc/PID/stat from the third, the state, on. The
// second, the command in parentheses, may hold any byte.
func stat(pid int) []string {
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
}

// Alive says whether the process still runs.
func (id ID) Alive() bool {
	now, ok := Get(id.PID)
	return ok && now == id
}

// Signal sends sig, or nothing if the process is gone.
func (id ID) Signal(sig syscall.Signal) error {
	p, err := os.FindProcess(id.PID)
	if err != nil {
		return nil
	}
	defer p.Release()
	if !id.Alive() {
		return nil
	}
	if err := p.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("signal %d to process %d: %w", sig, id.PID, err)
	}
	return nil
}

// Wait returns once the process is gone, or ctx's error.
func (id ID) Wait(ctx context.Context) error {
	for id.Alive() {
		select {
		case <-ctx.Done():
			return fmt.Errorf("process %d still runs: %w", id.PID, context.Cause(ctx))
		case <-time.After(20 * time.Millisecond):
		}
	}
	return nil
}

// End asks the process to end, kills it after grace and waits until it is gone.
func (id ID) End(ctx context.Context, grace time.Duration) error {
	if err := id.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	patience, cancel := context.WithTimeout(ctx, grace)
	defer cancel()
	if id.Wait(patience) == nil {
		return nil
	}
	if err := id.Signal(syscall.SIGKILL); err != nil {
		return err
	}
	return id.Wait(ctx)
}

// Command is the process's command line, for people.
func (id ID) Command() string {
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", id.PID))
	return strings.TrimSpace(strings.ReplaceAll(string(b), "\x00", " "))
}

// Save writes id to a file for [Load].
func (id ID) Save(file string) error {
	b, err := json.Marshal(id)
	if err != nil {
		return err
	}
	return os.WriteFile(file, append(b, '\n'), 0o644)
}

// Load reads a saved id; ok is false if the process no longer runs.
func Load(file string) (id ID, ok bool) {
	b, err := os.ReadFile(file)
	if err != nil || json.Unmarshal(b, &id) != nil {
		return ID{}, false
	}
	return id, id.Alive()
}

// All lists the processes that run now.
func All() []ID {
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	var ids []ID
	for _, dir := range dirs {
		pid, err := strconv.Atoi(filepath.Base(dir))
		if err != nil {
			continue
		}
		if id, ok := Get(pid); ok {
			ids = append(ids, id)
		}
	}
	return ids
}

// Namespace names the namespace of the given kind ("net", "pid") that pid is
// in; it equals another process's name for it if they share it.
func Namespace(pid int, kind string) string {
	link, _ := os.Readlink(fmt.Sprintf("/proc/%d/ns/%s", pid, kind))
	return link
}

// InnerPID is the process's id inside its own PID namespace.
func InnerPID(pid int) int {
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	for line := range strings.Lines(string(b)) {
		if ids, ok := strings.CutPrefix(line, "NSpid:"); ok {
			fields := strings.Fields(ids)
			inner, _ := strconv.Atoi(fields[len(fields)-1])
			return inner
		}
	}
	return 0
}
