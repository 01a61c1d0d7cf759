package main

import (
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"strings"
	"syscall"
	"time"
)

// A meter measures an operation in the process that carries it out.
type meter struct {
	began time.Time
	spent float64 // CPU time, before
}

// start begins to measure. What the process has used before is forgotten.
func start() (meter, error) {
	debug.FreeOSMemory()
	// 5 sets the peak to what is resident now.
	if err := os.WriteFile("/proc/self/clear_refs", []byte("5"), 0); err != nil {
		return meter{}, err
	}
	spent, err := processor()
	return meter{began: time.Now(), spent: spent}, err
}

// stop adds to o what the operation has taken.
func (m meter) stop(o outcome) (outcome, error) {
	o.Seconds = time.Since(m.began).Seconds()
	spent, err := processor()
	if err != nil {
		return o, err
	}
	o.CPU = spent - m.spent
	o.Memory, err = peak()
	return o, err
}

// processor returns the CPU time of this process in seconds.
func processor() (float64, error) {
	var usage syscall.Rusage
	err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage)
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano()).Seconds(), err
}

// peak returns how much memory of this process was resident at most.
func peak() (int64, error) {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if kib, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			var n int64
			_, err := fmt.Sscan(kib, &n)
			return n << 10, err
		}
	}
	return 0, errors.New("/proc/self/status has no VmHWM")
}
