package agent_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/runnerd/runnerd/pkg/job"
)

// published waits until the helper works.
func (p *pod) published() {
	p.t.Helper()
	deadline := time.NewTimer(time.Minute)
	defer deadline.Stop()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		if _, err := os.Stat(filepath.Join(p.path("share"), "bin", "runnerd-agent")); err == nil {
			return
		}
		select {
		case <-deadline.C:
			p.t.Fatal("the helper does not publish the agent")
		case <-tick.C:
		}
	}
}

// TestHeldJobBeginsWhenTold: nor does its time run before.
func TestHeldJobBeginsWhenTold(t *testing.T) {
	t.Parallel()
	p := newPod(t, "cat $TOLD")
	p.helper.Held = true
	p.helper.Variables = append(p.helper.Variables, job.Variable{Key: "TOLD", Value: p.path("told")})
	stdout := p.start()
	go func() {
		p.published()
		if err := os.WriteFile(p.path("told"), []byte("told before it began\n"), 0o644); err != nil {
			t.Error(err)
		}
		p.tell("go", "true")
	}()
	p.read(stdout)
	if err := p.helperCmd.Wait(); err != nil {
		t.Errorf("helper: %v: %s", err, p.stderr.String())
	}
	if err := p.buildCmd.Wait(); err != nil {
		t.Logf("build: %v: %s", err, p.buildErr.String())
	}
	wantOutcome(t, p.result(), job.Outcome{State: job.Success})
	p.wants("told before it began")
}

// TestHeldJobThatTheClusterEnds: no script has begun, so that it may begin anew.
func TestHeldJobThatTheClusterEnds(t *testing.T) {
	t.Parallel()
	p := newPod(t, "echo the script runs")
	p.helper.Held = true
	stdout := p.start()
	go func() {
		p.published()
		p.delete()
	}()
	p.read(stdout)
	_ = p.helperCmd.Wait() // its exit code is not the matter
	_ = p.buildCmd.Wait()
	if result := p.result(); !result.Stopped || !result.Unbegun {
		t.Errorf("result %+v, want one that says that no script had begun", result)
	}
	p.wantsNot("the script runs")
}
