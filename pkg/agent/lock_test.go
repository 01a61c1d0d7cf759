package agent

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/runnerd/runnerd/pkg/job"
)

// TestBuildThatComesFirst: outside of a pod the build side may find the
// hand-over directory before the helper has its lock; it still has to see when
// the helper is gone.
func TestBuildThatComesFirst(t *testing.T) {
	share := t.TempDir()
	plan, err := job.EncodePlan(job.BuildPlan{Version: job.PlanVersion})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), job.BuildPlanFile)
	if err := os.WriteFile(file, plan, 0o600); err != nil {
		t.Fatal(err)
	}
	h, err := createHandover(share)
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	ended := make(chan error, 1)
	go func() { ended <- RunBuild(t.Context(), BuildOptions{Plan: file, Share: share}) }()
	watch := newWatcher(h.path, handoverPoll)
	ctx, cancel := context.WithCancel(t.Context())
	var watching sync.WaitGroup
	watching.Go(func() { watch.Run(ctx) })
	defer watching.Wait()
	defer cancel()
	lock, err := h.holdLock(helperLock)
	if err != nil {
		t.Fatal(err)
	}
	for !h.exists(announceFile) {
		<-watch.C
	}
	lock.Close()
	if err := <-ended; err == nil || !strings.Contains(err.Error(), "helper process is gone") {
		t.Errorf("RunBuild = %v, want it to see that the helper is gone", err)
	}
}
