package agent

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/runnerd/runnerd/pkg/job"
)

// errBuildGone is a build container whose agent ended without a word. The daemon
// asks the cluster how: for lack of memory, for example.
var errBuildGone = errors.New("the build container ended while the script ran")

const (
	lookForBuild   = 200 * time.Millisecond // how often the build side's lock is tried
	slowEntrypoint = time.Minute            // after which the log tells what a missing build side may mean

	clusterWord = time.Second     // by when a SIGTERM reaches both containers
	stopAnswer  = 5 * time.Second // by when the build side says that a stopped step is gone
)

// awaitBuild waits until the build side is there. How long the image takes is
// the daemon's business.
func (h *helper) awaitBuild(ctx context.Context) error {
	late := time.NewTimer(slowEntrypoint)
	defer late.Stop()
	for {
		found, err := h.share.read(announceFile, &h.build)
		if err != nil {
			return err
		}
		if found {
			break
		}
		select {
		case <-h.watch.C:
		case <-late.C:
			if h.plan.Entrypoint {
				h.log.Warn("the build container has not started its shell yet: its image is still being pulled, or the image's entrypoint " +
					"does not run its arguments, as FF_KUBERNETES_HONOR_ENTRYPOINT wants it to (exec \"$@\")")
			}
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	h.ready = true
	h.buildSeen = h.share.isLocked(buildLock)
	switch {
	case h.build.Error != "":
		return job.Failf(job.RunnerSystemFailure, "build container: %s", h.build.Error)
	case h.build.Shell == "":
		return job.Failf(job.RunnerConfigurationError, "no shell (bash or sh) in the image: use an image that has one")
	}
	return nil
}

// ask has the build side run a step, and copies the step's output to the log
// while it comes. When ctx ends it has the step stopped.
func (h *helper) ask(ctx context.Context, request stepRequest) (stepResult, error) {
	n := h.asked
	if n == 0 {
		if err := h.share.claim(); err != nil {
			return stepResult{}, err
		}
	}
	h.asked++
	if err := h.share.write(requestFile(n), request); err != nil {
		return stepResult{}, err
	}
	result, err := h.follow(ctx, n, request.Name)
	if err != nil {
		// Nobody follows the step any more; the next one waits for its end.
		_ = h.share.write(stopFile(n), stopRequest{})
	}
	return result, err
}

// follow copies the output of step n until the step has ended.
func (h *helper) follow(ctx context.Context, n int, name string) (stepResult, error) {
	out := &tail{share: h.share, step: n, out: h.log}
	defer out.Close()
	look := time.NewTicker(lookForBuild)
	defer look.Stop()
	ended, aborted := ctx.Done(), h.aborted
	var given <-chan time.Time // until when a stopped step may take
	stop := func(grace time.Duration) error {
		given = time.After(grace + stopAnswer)
		return h.share.write(stopFile(n), stopRequest{Grace: grace})
	}
	for {
		var result stepResult
		// The result first: what was written before it is then read as well.
		done, err := h.share.read(resultFile(n), &result)
		if err != nil {
			return stepResult{}, err
		}
		if done {
			return result, out.copyRest()
		}
		more, err := out.copy()
		if err != nil {
			return stepResult{}, err
		}
		if more {
			h.watch.poke()
		}
		select {
		case <-aborted:
			ended, aborted = nil, nil
			if err := stop(0); err != nil {
				return stepResult{}, err
			}
		case <-ended:
			ended = nil
			if err := stop(stopGrace); err != nil {
				return stepResult{}, err
			}
		case <-given:
			return stepResult{}, fmt.Errorf("%s: the build container does not stop it", name)
		case <-look.C:
			if h.buildSeen && !h.share.isLocked(buildLock) && !h.share.exists(resultFile(n)) {
				return stepResult{}, h.buildGone(ctx, out)
			}
		case <-h.watch.C:
			if !more {
				out.gather()
			}
		}
	}
}

// buildGone says why the build side is gone. A pod that has to go is told so
// container by container; the helper's turn may come a moment later.
func (h *helper) buildGone(ctx context.Context, out *tail) error {
	if err := out.copyRest(); err != nil {
		return err
	}
	timer := time.NewTimer(clusterWord)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return errBuildGone
	}
}
