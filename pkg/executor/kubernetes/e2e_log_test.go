//go:build e2e

package kubernetes_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/runnerd/runnerd/pkg/executor"
	"github.com/runnerd/runnerd/pkg/executor/kubernetes"
	"github.com/runnerd/runnerd/pkg/job"
)

// A restart of the API server or the kubelet is a delay, and the log is whole.
func TestE2ERestarts(t *testing.T) {
	cluster := os.Getenv("RUNNERD_CLUSTER")
	if cluster == "" {
		t.Fatal("RUNNERD_CLUSTER is not set: the program of test/cluster, to restart components with")
	}
	const lines = 1500 // they take longer than the restart
	for _, component := range []string{"apiserver", "kubelet", "apiserver --kill"} {
		t.Run(component, func(t *testing.T) {
			r := newReal(t, kubernetes.Config{})
			j := r.start(t, livePlan(image("test/debian:1"), fmt.Sprintf("i=0; while [ $i -lt %d ]; do echo line-$i-; i=$((i+1)); sleep 0.005; done", lines)))
			j.await("line-100-")
			args := append([]string{"restart"}, strings.Fields(component)...)
			if out, err := exec.Command(cluster, args...).CombinedOutput(); err != nil {
				t.Fatalf("restart: %v\n%s", err, out)
			}
			j.wait()
			log, _ := j.log.get()
			if j.err != nil || j.outcome.State != job.Success {
				t.Fatalf("Run = %+v, %v\n%s", j.outcome, j.err, log)
			}
			at := 0
			for line := range strings.Lines(log) {
				if _, text, ok := strings.Cut(line, "line-"); ok && !strings.Contains(text, "$i") {
					if text != fmt.Sprintf("%d-\n", at) {
						t.Fatalf("line %d is %q", at, line)
					}
					at++
				}
			}
			if at != lines {
				t.Errorf("%d lines, want %d", at, lines)
			}
			t.Logf("%v", time.Since(j.began))
		})
	}
}

func TestE2EBigLog(t *testing.T) {
	t.Parallel()
	r := newReal(t, kubernetes.Config{})
	j := r.start(t, livePlan(image("test/debian:1"), "seq -f 'line-%0100.0f-' 1 400000"))
	j.wait()
	log, _ := j.log.get()
	if j.err != nil || j.outcome.State != job.Success || strings.Count(log, "line-0") != 400000 {
		t.Errorf("Run = %+v, %v, %d lines", j.outcome, j.err, strings.Count(log, "line-0"))
	}
	t.Logf("%d MB in %v", len(log)>>20, time.Since(j.began))
}

// A node serves only the newest file of a container's log, and rotates files of
// ten megabytes away. While GitLab takes nothing nobody reads; what is lost
// meanwhile the helper has to write again.
func TestE2ELogRotatedAwayWhileGitLabIsBehind(t *testing.T) {
	t.Parallel()
	r := newReal(t, kubernetes.Config{})
	plan := livePlan(image("test/debian:1"),
		"for b in 0 1 2 3; do seq -f 'line-%0100.0f-' $((b*150000+1)) $((b*150000+150000)); sleep 11; done",
		"for i in $(seq 20); do echo tick; sleep 1; done")
	j := &liveJob{t: t, log: &liveLog{grew: make(chan struct{})}, notes: &notes{}, done: make(chan struct{}), began: time.Now()}
	slow := &slowLog{log: j.log, until: time.After(45 * time.Second)}
	j.task = executor.Task{Plan: plan, Log: slow, Notes: j.notes}
	go func() {
		defer close(j.done)
		j.outcome, j.err = r.Run(context.Background(), j.task)
	}()
	j.wait()
	if err := r.Remove(context.Background(), j.task); err != nil {
		t.Error(err)
	}
	log, _ := j.log.get()
	if j.err != nil || j.outcome.State != job.Success {
		t.Fatalf("Run = %+v, %v", j.outcome, j.err)
	}
	at := 0
	for line := range strings.Lines(log) {
		if text, ok := strings.CutPrefix(line, "line-"); ok {
			at++
			if want := fmt.Sprintf("%0100d-\n", at); text != want {
				t.Fatalf("line %d is %q", at, line)
			}
		}
	}
	if at != 600000 {
		t.Errorf("%d lines, want 600000", at)
	}
	t.Logf("%d MB in %v", len(log)>>20, time.Since(j.began))
}

// slowLog takes a megabyte and then nothing for a while.
type slowLog struct {
	log   *liveLog
	taken int
	until <-chan time.Time
}

func (s *slowLog) Write(p []byte) (int, error) {
	if s.taken += len(p); s.taken > 1<<20 && s.until != nil {
		<-s.until
		s.until = nil
	}
	return s.log.Write(p)
}
