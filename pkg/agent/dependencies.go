package agent

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/runnerd/runnerd/pkg/artifact"
	"github.com/runnerd/runnerd/pkg/confine"
	"github.com/runnerd/runnerd/pkg/job"
)

// download is the phase in which artifacts of earlier jobs become files of the
// project, in as many tries as the user asked for.
func (a *artifacts) download(ctx context.Context) error {
	if a == nil || len(a.plan.Dependencies) == 0 {
		return nil
	}
	tries, pause := max(a.plan.GitLab.Attempts, 1), a.retryPause
	for try := 1; ; try++ {
		err := a.phase(ctx, "download_artifacts", "Downloading artifacts", a.downloadAll)
		if err == nil || ctx.Err() != nil || try == tries {
			return err
		}
		a.log.Warn(fmt.Sprintf("%v; trying again in %s, attempt %d of %d", err, pause, try+1, tries))
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(pause):
		}
		pause = min(2*pause, maxRetryPause)
	}
}

func (a *artifacts) downloadAll(ctx context.Context) error {
	defer frugal(memoryLimit())()
	root, err := a.project()
	if err != nil {
		return err
	}
	for _, d := range a.plan.Dependencies {
		if err := a.downloadOne(ctx, root, d); err != nil {
			err = fmt.Errorf("of %s (%d): %w", d.Name, d.JobID, err)
			a.log.Error(fmt.Sprintf("Downloading the artifacts %v", err))
			return transferFailure("downloading the artifacts", err)
		}
	}
	return nil
}

// downloadOne fetches an archive into the helper's private directory and
// extracts it from there.
func (a *artifacts) downloadOne(ctx context.Context, root *confine.Root, d job.DependencyPlan) error {
	a.log.Plain(fmt.Sprintf("Downloading artifacts for %s (%d)...", d.Name, d.JobID))
	spool, err := os.CreateTemp(a.private, "artifacts-")
	if err != nil {
		return fmt.Errorf("store the archive: %w", err)
	}
	defer os.Remove(spool.Name())
	defer spool.Close()
	began := time.Now()
	stop := a.meter(movement{what: fmt.Sprintf("Downloading artifacts of %s (%d)", d.Name, d.JobID), total: d.Size, moved: a.client.Received})
	n, err := a.client.Download(ctx, artifact.Download{JobID: d.JobID, Token: d.Token, Direct: a.plan.GitLab.Direct}, spool)
	stop()
	if err != nil {
		return err
	}
	took := time.Since(began)
	made, err := artifact.Extract(ctx, root, spool, n)
	if err != nil {
		return err
	}
	a.log.Info(fmt.Sprintf("Downloaded %s for %s in %s entries in %s, %s", size(n), size(made.Bytes), thousands(made.Entries), tenths(took), rate(n, took)))
	if made.Skipped > 0 {
		a.log.Warn(fmt.Sprintf("%d devices or pipes in the archive are left out", made.Skipped))
	}
	return nil
}
