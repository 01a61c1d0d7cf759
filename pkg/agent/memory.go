package agent

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// cgroupRoot is where a container finds its own control group.
const cgroupRoot = "/sys/fs/cgroup"

// memoryUse is what the kernel says of a container's memory; 0 is not known.
type memoryUse struct {
	peak, limit int64 // bytes
	kills       int64 // processes that were killed for lack of memory
}

// readMemory reads a control group of version 2, or else of version 1. Where there
// is neither, as outside of containers, nothing is known.
func readMemory(root string) memoryUse {
	if limit, ok := readNumber(root, "memory.max"); ok {
		peak, _ := readNumber(root, "memory.peak") // since Linux 5.19
		return memoryUse{peak: peak, limit: limit, kills: readField(root, "memory.events", "oom_kill")}
	}
	root = filepath.Join(root, "memory")
	peak, _ := readNumber(root, "memory.max_usage_in_bytes")
	limit, _ := readNumber(root, "memory.limit_in_bytes")
	if limit > math.MaxInt64/2 { // version 1 writes "none" as a number
		limit = 0
	}
	return memoryUse{peak: peak, limit: limit, kills: readField(root, "memory.oom_control", "oom_kill")}
}

// warning says which processes of the container were killed since before; "" when
// none was.
func (m memoryUse) warning(container string, before memoryUse) string {
	n := m.kills - before.kills
	if n <= 0 {
		return ""
	}
	what := "a process"
	if n > 1 {
		what = fmt.Sprintf("%d processes", n)
	}
	text := fmt.Sprintf("The %s container ran out of memory: the kernel has killed %s", container, what)
	switch {
	case m.peak > 0 && m.limit > 0:
		text += fmt.Sprintf(" (peak %s, limit %s)", mebibytes(m.peak), mebibytes(m.limit))
	case m.limit > 0:
		text += fmt.Sprintf(" (limit %s)", mebibytes(m.limit))
	}
	return text
}

func mebibytes(n int64) string { return strconv.FormatFloat(float64(n)/(1<<20), 'f', 1, 64) + " MiB" }

// readNumber reads a file that holds one; "max" is 0.
func readNumber(dir, name string) (n int64, ok bool) {
	text, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		return 0, false
	}
	n, err = strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	if err != nil {
		return 0, strings.TrimSpace(string(text)) == "max"
	}
	return n, true
}

// readField reads the line "key number" of a file.
func readField(dir, name, key string) int64 {
	text, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		if k, v, _ := strings.Cut(strings.TrimSpace(line), " "); k == key {
			n, _ := strconv.ParseInt(v, 10, 64) // the kernel wrote it
			return n
		}
	}
	return 0
}
