//go:build e2e

package e2e

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/runnerd/runnerd/internal/standin"
)

// What prints more than a node keeps of a container's log. It looks every ten seconds.
const (
	tooLong   = `for b in 0 1 2 3; do seq -f "line-%0100.0f-" $((b*150000+1)) $((b*150000+150000)); sleep 11; done`
	tooLongBy = 600_000 // lines
)

var lostNote = regexp.MustCompile(`\n[^\n]*WARNING: ([\d,]+) bytes of this log are lost: the node had rotated them away[^\n]*\n`)

// TestLogRotatedAway: while nobody reads a job's log the node rotates it away, and the
// helper, which could write it again, is killed. The log says what is lost, to the byte.
func TestLogRotatedAway(t *testing.T) {
	s := start(t, options{gitlab: standin.Options{TraceInterval: time.Second}, runner: "output_limit = 200000"})
	commands := []string{"echo begun; sleep 3", tooLong, "echo one; sleep 1; echo two; sleep 1; echo end"}
	j := s.add(standin.JobSpec{
		Name: "rotated", Script: commands,
		Variables: []standin.Variable{{Key: "FF_TIMESTAMPS", Value: "false"}}, // as it is: what is lost may begin inside a line
	})
	s.until(j, "its first line", func(j *standin.Job) bool { return strings.Contains(j.Text(), "\nbegun\n") })
	s.freeze(syscall.SIGSTOP)
	s.ends(j, "build")
	s.killHelper(s.pod(j))
	s.ends(j, "helper")
	s.freeze(syscall.SIGCONT)
	s.finish(j, standin.Success)

	text := section(t, string(j.Log()), "step_script")
	at := lostNote.FindStringSubmatchIndex(text)
	if at == nil {
		t.Fatalf("the log says nothing of a loss; it has %d bytes, and begins with\n%s", len(text), text[:min(len(text), 2000)])
	}
	lost, err := strconv.Atoi(strings.ReplaceAll(text[at[2]:at[3]], ",", ""))
	if err != nil {
		t.Fatal(err)
	}
	whole := scriptSection("begun\n", commands[0]) + command(commands[1]) + manyLines() + command(commands[2]) + "one\ntwo\nend\n"
	before, behind := text[:at[0]+1], text[at[1]:]
	if !strings.HasPrefix(whole, before) {
		before = text[:at[0]] // the gap begins inside a line
	}
	if !strings.HasPrefix(whole, before) || !strings.HasSuffix(whole, behind) || len(before)+lost+len(behind) != len(whole) {
		t.Errorf("%d bytes, %d lost, and %d bytes are not the %d bytes that the job has printed", len(before), lost, len(behind), len(whole))
	}
	t.Logf("%d bytes of %d are lost", lost, len(whole))
}

func command(line string) string { return "\x1b[32;1m$ " + line + "\x1b[0;m\n" }

func manyLines() string {
	var b strings.Builder
	for n := 1; n <= tooLongBy; n++ {
		fmt.Fprintf(&b, "line-%0100d-\n", n)
	}
	return b.String()
}

// freeze stops the daemon, or lets it go on.
func (s *site) freeze(signal syscall.Signal) {
	s.t.Helper()
	if err := s.daemon.Process.Signal(signal); err != nil {
		s.t.Fatal(err)
	}
}

// ends waits until a container of a job has ended, and returns the pod.
func (s *site) ends(j *standin.Job, container string) (pod *corev1.Pod) {
	s.t.Helper()
	wait(s.t, "the end of container "+container, func() bool {
		pod = s.pod(j)
		for _, c := range pod.Status.ContainerStatuses {
			if c.Name == container && c.State.Terminated != nil {
				return true
			}
		}
		return false
	})
	return pod
}

// killHelper kills the helper of a pod, a process of this machine.
func (s *site) killHelper(pod *corev1.Pod) {
	s.t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/cgroup")
	if err != nil {
		s.t.Fatal(err)
	}
	killed := false
	for _, file := range files {
		group, err := os.ReadFile(file)
		if err != nil || !bytes.Contains(group, []byte(pod.UID)) {
			continue // one that has ended, or another's
		}
		command, err := os.ReadFile(filepath.Join(filepath.Dir(file), "cmdline"))
		pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(file)))
		if err == nil && bytes.Contains(command, []byte("runnerd-agent\x00helper\x00")) {
			killed = syscall.Kill(pid, syscall.SIGKILL) == nil || killed
		}
	}
	if !killed {
		s.t.Fatalf("the helper of pod %s is no process of this machine", pod.Name)
	}
}
