package agent_test

import (
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/runnerd/runnerd/pkg/job"
)

// What a script does to the files of its own job.

func TestScriptRemovesItself(t *testing.T) {
	t.Parallel()
	p := newPod(t, `rm -- "$0"`, "echo end")
	wantOutcome(t, p.run(), exited(0))
	p.wants("end")
}

func TestScriptReplacesItsResult(t *testing.T) {
	t.Parallel()
	p := newPod(t, `mkfifo "$HANDOVER/step-0.result"`, "sleep 60")
	p.addAfterScript("echo after")
	p.build.Variables = []job.Variable{{Key: "HANDOVER", Value: p.path("share", "handover")}}
	if got := p.run(); got.Reason != job.RunnerSystemFailure || !strings.Contains(got.Message, "no regular file") {
		t.Errorf("outcome %+v, want a system failure that says why", got.Outcome)
	}
	p.wants("after")
}

func TestScriptTakesHandoverNames(t *testing.T) {
	t.Parallel()
	p := newPod(t, `cd "$HANDOVER"; mkfifo .step-0.stop .step-1.json .exit`, "echo started", "sleep 60")
	p.addAfterScript("echo after $CI_JOB_STATUS")
	p.build.Variables = []job.Variable{{Key: "HANDOVER", Value: p.path("share", "handover")}}
	p.onLog = once("\nstarted\n", func(p *pod) { p.tell("signal", "cancel") })
	wantOutcome(t, p.run(), canceledOutcome)
	p.wants("started", "after canceled")
}

func TestCancelOfAScriptThatPrintsWithoutEnd(t *testing.T) {
	t.Parallel()
	p := newPod(t, "echo started; yes 0123456789 0123456789")
	p.addAfterScript("echo after $CI_JOB_STATUS")
	p.helper.Log = job.LogOptions{Timestamps: true, LimitBytes: 64 << 10, Masks: []string{"hunter22"}}
	var told time.Time
	p.onLog = once("started\n", func(p *pod) {
		told = time.Now()
		p.tell("signal", "cancel")
	})
	most := int64(0)
	measure := p.onLog
	p.onLog = func(p *pod, log string) {
		measure(p, log)
		if info, err := os.Stat(p.path("share", "handover", "step-0.log")); err == nil {
			most = max(most, info.Sys().(*syscall.Stat_t).Blocks*512)
		}
	}
	wantOutcome(t, p.run(), canceledOutcome)
	if took := time.Since(told); took > 20*time.Second {
		t.Errorf("canceling took %s", took)
	}
	if most > 100<<20 {
		t.Errorf("the output took %d MiB on the disk", most>>20)
	}
}
