package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// A task is one operation for a process of its own.
type task struct {
	Op      string
	Dir     string            // the tree, or where to restore it
	File    string            // a temporary archive
	URLs    []string          // of segments to write
	Headers map[string]string // to be sent with them
	Base    *layer
	Delta   *layer
	Seed    uint64  // for changes
	Scale   float64 // of a new tree
	Profile string  // file for a CPU profile, unless empty
}

// A layer is a stored archive.
type layer struct {
	Raw     int64
	Entries int
	Bytes   []int64
	Sums    []string // hex
	URLs    []string
}

// An outcome is what a process says of its task.
type outcome struct {
	Seconds float64 // of the operation, without the process's start
	Bytes   int64   // sent, or of the archive
	Layer   *layer  // that was written, without URLs
	Memory  int64   // bytes resident at the peak
	CPU     float64 // as Seconds
}

// A sample is one measurement.
type sample struct {
	seconds float64 // of the process or processes, from start to exit
	cpu     float64 // the same
	outcome
}

// spawn carries out a task in a process of its own.
func spawn(ctx context.Context, t task) (sample, error) {
	text, err := json.Marshal(t)
	if err != nil {
		return sample{}, err
	}
	file, err := os.CreateTemp("", "cachebench-*.json")
	if err != nil {
		return sample{}, err
	}
	defer os.Remove(file.Name())
	defer file.Close()
	if _, err := file.Write(text); err != nil {
		return sample{}, err
	}
	self, err := os.Executable()
	if err != nil {
		return sample{}, err
	}
	var out bytes.Buffer
	s, err := timed(exec.CommandContext(ctx, self, "op", file.Name()), &out)
	if err != nil {
		return s, fmt.Errorf("%s: %w", t.Op, err)
	}
	if err := json.Unmarshal(out.Bytes(), &s.outcome); err != nil {
		return s, fmt.Errorf("%s: %w", t.Op, err)
	}
	return s, nil
}

// shell carries out a pipeline of commands.
func shell(ctx context.Context, script string, env ...string) (sample, error) {
	c := exec.CommandContext(ctx, "bash", "-euo", "pipefail", "-c", script)
	c.Env = append(os.Environ(), env...)
	s, err := timed(c, nil)
	if err != nil {
		return s, fmt.Errorf("%s: %w", script, err)
	}
	return s, nil
}

func timed(c *exec.Cmd, out *bytes.Buffer) (sample, error) {
	if out != nil {
		c.Stdout = out
	}
	c.Stderr = os.Stderr
	began := time.Now()
	if err := c.Run(); err != nil {
		return sample{}, err
	}
	s := sample{seconds: time.Since(began).Seconds(), cpu: (c.ProcessState.UserTime() + c.ProcessState.SystemTime()).Seconds()}
	// Where programs are compared, it is the largest one's. What was resident here
	// when it was forked counts, too.
	if usage, ok := c.ProcessState.SysUsage().(*syscall.Rusage); ok {
		s.Memory = usage.Maxrss << 10
	}
	return s, nil
}

// empty makes a new folder.
func empty(dir, name string) (string, error) {
	path := filepath.Join(dir, name)
	if err := os.RemoveAll(path); err != nil {
		return "", err
	}
	return path, os.MkdirAll(path, 0o755)
}
