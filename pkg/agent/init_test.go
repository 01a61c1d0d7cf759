package agent_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestAsInit runs both sides as PID 1 of a PID namespace, as in a pod.
func TestAsInit(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Log("not root: no PID namespace")
		return
	}
	s := newGitServer(t)
	sha := s.repo("group/project", map[string]string{"README": "hello\n"})
	p := newPod(t, "echo pid $PPID", "for i in 1 2 3 4 5; do (sleep 0.05 & exit 0); done", "cat README",
		"echo orphans; while ! test -e go; do sleep 0.02; done", "exit 3")
	p.addAfterScript("echo after $CI_JOB_STATUS; sleep 60")
	p.helper.Sources = s.sources("group/project", sha)
	p.newPIDs = true
	asked := false
	p.onLog = func(p *pod, log string) {
		switch {
		case !asked && strings.Contains(log, "\norphans\n"):
			asked = true
			for deadline := time.Now().Add(5 * time.Second); zombies(p.buildCmd.Process.Pid) > 0; time.Sleep(10 * time.Millisecond) {
				if time.Now().After(deadline) {
					t.Error("zombies stay")
					break
				}
			}
			os.WriteFile(p.helper.ProjectDir+"/go", nil, 0o644)
		case strings.Contains(log, "\nafter failed\n"):
			p.tell("signal", "stop")
		}
	}
	if got := p.run(); got.State != "canceled" {
		t.Errorf("outcome %+v", got.Outcome)
	}
	p.wants("pid 1", "hello", "orphans", "after failed")
}

// zombies counts the dead children of a process that it has not waited for.
func zombies(parent int) (n int) {
	files, _ := filepath.Glob("/proc/[0-9]*/status")
	for _, file := range files {
		text, _ := os.ReadFile(file)
		if bytes.Contains(text, fmt.Appendf(nil, "\nPPid:\t%d\n", parent)) && bytes.Contains(text, []byte("\nState:\tZ")) {
			n++
		}
	}
	return n
}

func newPIDs(attr *syscall.SysProcAttr, on bool) *syscall.SysProcAttr {
	if on {
		attr.Cloneflags = syscall.CLONE_NEWPID
	}
	return attr
}

// TestLatency: a line is in the stream soon after the script wrote it.
func TestLatency(t *testing.T) {
	p := newPod(t, "for i in 1 2 3 4 5 6 7 8 9 10; do echo at $(date +%s%N); sleep 0.05; done")
	var times []time.Duration
	seen := 0
	p.onLog = func(p *pod, log string) {
		now := time.Now().UnixNano()
		lines := strings.Split(log, "\nat ")[1:]
		for _, line := range lines[seen:] {
			var sent int64
			fmt.Sscan(line, &sent)
			times = append(times, time.Duration(now-sent))
		}
		seen = len(lines)
	}
	wantOutcome(t, p.run(), exited(0))
	var total time.Duration
	for _, d := range times {
		total += d
	}
	if average := total / time.Duration(max(len(times), 1)); len(times) != 10 || average > 100*time.Millisecond {
		t.Errorf("%d lines took %s on average, want 10 lines and about 20ms", len(times), average)
	} else {
		t.Logf("average %s", average)
	}
}
