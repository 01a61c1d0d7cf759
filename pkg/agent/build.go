package agent

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/runnerd/runnerd/pkg/job"
)

// stopGrace is how long processes have between the polite and the hard stop.
const stopGrace = 5 * time.Second

// BuildOptions are the build process's surroundings.
type BuildOptions struct {
	Plan  string // file of the job.BuildPlan
	Share string // directory shared with the helper
}

// ErrTerminated is what RunBuild returns when its context ended.
var ErrTerminated = errors.New("told to stop")

// RunBuild runs steps as the helper asks for them, until it needs no more. It
// returns an error when it could not do its part, when the helper is gone, and
// ErrTerminated when ctx ended; no process that it started directly lives then.
func RunBuild(ctx context.Context, opts BuildOptions) error {
	share, err := awaitHandover(ctx, opts.Share)
	if err != nil {
		return err
	}
	defer share.Close()
	if err := awaitPredecessor(ctx, share); err != nil {
		return err
	}
	lock, err := share.holdLock(buildLock)
	if err != nil {
		return err
	}
	defer lock.Close()

	b := &builder{
		share: share, procs: newProcesses(), watch: newWatcher(share.path, handoverPoll),
		shell: findShell(), helperSeen: share.isLocked(helperLock),
	}
	running, end := context.WithCancel(context.WithoutCancel(ctx))
	var group sync.WaitGroup
	defer group.Wait()
	defer end()
	group.Go(func() { b.procs.Run(running) })
	group.Go(func() { b.watch.Run(running) })
	defer b.release()

	if err := b.prepare(opts.Plan); err != nil {
		// The helper tells the job's author.
		return errors.Join(err, share.write(announceFile, announcement{Error: err.Error()}))
	}
	if err := share.write(announceFile, b.announcement()); err != nil {
		return err
	}
	return b.serve(ctx)
}

// awaitHandover waits for the helper to create the hand-over directory, with its
// lock in it. In a pod both are there already: the agent itself came after them.
func awaitHandover(ctx context.Context, share string) (*handover, error) {
	ticker := time.NewTicker(handoverPoll / 10)
	defer ticker.Stop()
	for {
		h, err := openHandover(share)
		switch {
		case err != nil && !errors.Is(err, fs.ErrNotExist):
			return nil, err
		case err == nil && h.exists(helperLock):
			return h, nil
		case err == nil:
			h.Close()
		}
		select {
		case <-ctx.Done():
			return nil, ErrTerminated
		case <-ticker.C:
		}
	}
}

// awaitPredecessor waits while another build process lives. A kubelet that has lost
// track of the build container, as when the container runtime was killed while it
// started it, starts another one beside it.
func awaitPredecessor(ctx context.Context, share *handover) error {
	ticker := time.NewTicker(handoverPoll)
	defer ticker.Stop()
	for share.isLocked(buildLock) {
		select {
		case <-ctx.Done():
			return ErrTerminated
		case <-ticker.C:
		}
	}
	return nil
}

// A builder is the build side of one job.
type builder struct {
	plan       job.BuildPlan
	share      *handover
	private    string // directory that only this user can read
	trustDir   string // directory with what programs are to trust
	trusted    []variable
	procs      *processes
	watch      *watcher
	shell      string
	helperSeen bool // the helper's lock was seen held
	captures   []*capture
	groups     []int // process groups of the steps' shells
}

func (b *builder) prepare(planFile string) error {
	if err := readPlan(planFile, &b.plan, &b.plan.Version); err != nil {
		return err
	}
	private, err := os.MkdirTemp(b.share.path, "build-")
	if err != nil {
		return fmt.Errorf("make a directory for scripts: %w", err)
	}
	b.private = private
	return nil
}

func (b *builder) announcement() announcement {
	host, _ := os.Hostname() // for display only
	return announcement{UID: os.Geteuid(), GID: os.Getegid(), Shell: b.shell, Hostname: host}
}

// release lets go of everything. What scripts left running in their process
// group ends now: outside of a container nobody else would end it.
func (b *builder) release() {
	for _, group := range b.groups {
		_ = syscall.Kill(-group, syscall.SIGKILL)
	}
	b.groups = nil // their numbers may soon be those of others
	for _, c := range b.captures {
		_ = c.release()
	}
	if b.private != "" {
		_ = os.RemoveAll(b.private)
	}
	if b.trustDir != "" {
		_ = os.RemoveAll(b.trustDir)
	}
}

// serve runs one step after the other.
func (b *builder) serve(ctx context.Context) error {
	n := 0
	for b.share.exists(resultFile(n)) { // a predecessor has done it
		n++
	}
	for {
		var request stepRequest
		found, err := b.share.read(requestFile(n), &request)
		switch {
		case ctx.Err() != nil:
			return ErrTerminated
		case b.share.exists(exitFile):
			return b.stay(ctx)
		case err != nil:
			return err
		case found:
			result := b.run(ctx, n, request)
			if err := b.share.write(resultFile(n), result); err != nil {
				return err
			}
			n++
			continue
		case b.helperGone():
			return errors.New("the helper process is gone")
		}
		select {
		case <-b.watch.C:
		case <-ctx.Done():
		}
	}
}

// stay keeps a failed job's container for whoever wants to look into it.
func (b *builder) stay(ctx context.Context) error {
	var notice exitNotice
	if _, err := b.share.read(exitFile, &notice); err != nil {
		return err
	}
	if !notice.Failed || b.plan.KeepFailed <= 0 {
		return nil
	}
	b.release()
	timer := time.NewTimer(b.plan.KeepFailed)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
	return nil
}

func (b *builder) helperGone() bool { return b.helperSeen && !b.share.isLocked(helperLock) }

func (b *builder) step(name string) (job.BuildStep, bool) {
	i := slices.IndexFunc(b.plan.Steps, func(s job.BuildStep) bool { return s.Name == name })
	if i < 0 {
		return job.BuildStep{}, false
	}
	return b.plan.Steps[i], true
}

// scriptPath is where the script of step n lies while it runs.
func (b *builder) scriptPath(n int) string {
	return filepath.Join(b.private, fmt.Sprintf("script-%d", n))
}
