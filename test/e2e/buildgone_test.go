//go:build e2e

package e2e

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/runnerd/runnerd/internal/standin"
)

// TestBuildContainerKilled: a job whose build container the node kills says how that
// ended, which only the kubelet knows.
func TestBuildContainerKilled(t *testing.T) {
	t.Parallel()
	const mark = "47114711" // nobody else sleeps as long
	s := start(t, options{})
	j := s.add(standin.JobSpec{Name: "gone", Script: []string{"echo begun; sleep " + mark}})
	s.until(j, "its script", func(j *standin.Job) bool { return strings.Contains(j.Text(), "\nbegun\n") })
	var pid int
	wait(t, "the job's process", func() bool {
		pid = processWith(mark)
		return pid != 0
	})
	if err := syscall.Kill(agentAbove(t, pid), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	s.finish(j, standin.Failed)
	says(t, j, "build container ended under the running job on node", "exit code 137")
	if j.FailureReason() != "runner_system_failure" {
		t.Errorf("failure reason %q", j.FailureReason())
	}
}

// processWith returns the process that sleeps for the seconds given, 0 when there is none.
func processWith(seconds string) int {
	files, _ := filepath.Glob("/proc/[0-9]*/cmdline") // the pattern is right
	for _, file := range files {
		text, err := os.ReadFile(file)
		if words := bytes.Split(text, []byte{0}); err != nil || len(words) < 2 || string(words[1]) != seconds {
			continue
		}
		var pid int
		if _, err := fmt.Sscanf(file, "/proc/%d/", &pid); err == nil {
			return pid
		}
	}
	return 0
}

// agentAbove returns the agent of the build container that a process is in.
func agentAbove(t *testing.T, pid int) int {
	t.Helper()
	for pid > 1 {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(text, []byte("runnerd-agent\x00build\x00")) {
			return pid
		}
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			t.Fatal(err)
		}
		var state string
		behind := string(stat[bytes.LastIndexByte(stat, ')')+1:]) // a name may hold anything
		if _, err := fmt.Sscan(behind, &state, &pid); err != nil {
			t.Fatal(err)
		}
	}
	t.Fatal("no agent is above the job's process")
	return 0
}
