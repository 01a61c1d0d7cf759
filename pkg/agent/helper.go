package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/runnerd/runnerd/pkg/confine"
	"github.com/runnerd/runnerd/pkg/job"
	"github.com/runnerd/runnerd/pkg/joblog"
)

// HelperOptions are the helper process's surroundings.
type HelperOptions struct {
	Plan           string // file of the job.HelperPlan
	Share          string // directory shared with the build side
	Control        string // directory of the files signal, resend and go
	TerminationLog string // gets the result too, if the file exists; may be empty
	Stdout         io.Writer
}

// RunHelper carries out the job and writes its stream, whose last frame is the
// result. It returns an error when there is no result. When ctx ends, the
// cluster wants the pod gone: the job is stopped, and fails.
func RunHelper(ctx context.Context, opts HelperOptions) error {
	share, err := createHandover(opts.Share)
	if err != nil {
		return err
	}
	defer share.Close()
	again := share.exists(helperLock)
	if !again {
		lock, err := share.holdLock(helperLock)
		if err != nil {
			return err
		}
		defer lock.Close()
		// What the build side needs is there: let it come.
		if err := publish(opts.Share); err != nil {
			return err
		}
	}
	private, err := os.MkdirTemp("", "runnerd-helper-")
	if err != nil {
		return fmt.Errorf("make the helper's private directory (is $TMPDIR or /tmp writable?): %w", err)
	}
	defer os.RemoveAll(private)
	store, err := os.OpenFile(filepath.Join(private, "frames"), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("keep the job's stream: %w", err)
	}
	defer store.Close()

	h := &helper{
		opts: opts, share: share, private: private, frames: newFramer(opts.Stdout, store),
		procs: newProcesses(), watch: newWatcher(share.path, handoverPoll), cancel: &canceler{},
		aborted: make(chan struct{}), goes: make(chan struct{}), retryPause: retryPause,
	}
	if err := readPlan(opts.Plan, &h.plan, &h.plan.Version); err != nil {
		return err
	}
	h.log = joblog.New(h.frames, joblog.Options{LogOptions: h.plan.Log})
	if again {
		return h.finish(h.startedAgain())
	}
	return h.serve(ctx)
}

// publish puts this program where the build container waits for it.
func publish(share string) error {
	dir := filepath.Join(share, "bin")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("publish the agent: %w", err)
	}
	self, err := os.Open("/proc/self/exe")
	if err != nil {
		return fmt.Errorf("publish the agent: %w", err)
	}
	defer self.Close()
	aside, err := os.CreateTemp(dir, ".agent-")
	if err != nil {
		return fmt.Errorf("publish the agent: %w", err)
	}
	_, err = io.Copy(aside, self)
	err = errors.Join(err, aside.Chmod(0o755), aside.Close())
	if err != nil {
		return fmt.Errorf("publish the agent: %w", err)
	}
	if err := os.Rename(aside.Name(), filepath.Join(dir, "runnerd-agent")); err != nil {
		return fmt.Errorf("publish the agent: %w", err)
	}
	return nil
}

// A helper is one job in the helper container.
type helper struct {
	opts       HelperOptions
	plan       job.HelperPlan
	share      *handover
	private    string // directory that no other container sees
	authority  []byte // PEM, the operator's authorities
	frames     *framer
	log        *joblog.Writer
	procs      *processes
	watch      *watcher
	cancel     *canceler
	aborted    chan struct{} // closed when everything is to end at once
	goes       chan struct{} // closed when a job that is held may begin
	retryPause time.Duration // before the second try of sources; doubles

	temp      *os.Root      // plan.TempDir
	root      *confine.Root // plan.ProjectDir; see project
	late      *job.Failure  // that sources end with when their time is over
	made      []string      // directories made on the way to the project's
	build     announcement  // valid once buildReady
	ready     bool          // the build side has announced itself
	buildSeen bool          // its lock was seen held
	asked     int           // steps asked for
}

// serve runs what goes on beside the job, and the job.
func (h *helper) serve(ctx context.Context) error {
	background, end := context.WithCancel(context.WithoutCancel(ctx))
	var group sync.WaitGroup
	defer group.Wait()
	defer end()

	jobCtx, endJob := context.WithCancelCause(background)
	defer endJob(nil)
	h.cancel.aim(endJob)
	defer context.AfterFunc(ctx, func() { endJob(errCluster) })()
	abort := sync.OnceFunc(func() { close(h.aborted) })
	controls := &control{
		dir: h.opts.Control, watch: newWatcher(h.opts.Control, controlPoll),
		onCancel: h.onCancel,
		onStop: func() {
			endJob(errAborted)
			abort()
		},
		onGo:     sync.OnceFunc(func() { close(h.goes) }),
		onResend: func(first int64) { _ = h.frames.resend(first) }, // its error sticks, or the daemon asks again
	}
	group.Go(func() { h.procs.Run(background) })
	group.Go(func() { h.watch.Run(background) })
	group.Go(func() { h.frames.Run(background) })
	group.Go(func() { controls.watch.Run(background) })
	group.Go(func() { controls.Run(background) })

	err := h.finish(h.run(jobCtx))
	h.linger(ctx)
	return err
}

func (h *helper) onCancel() {
	first, ends := h.cancel.cancel()
	if ends {
		h.log.Warn("script canceled externally (UI, API)")
	}
	if first {
		h.event(job.Event{Canceling: true})
	}
}

// event writes an event; an error sticks in the framer and ends the job there.
func (h *helper) event(e job.Event) { _ = h.frames.event(e) }

// finish writes the job's last line and its result.
func (h *helper) finish(result job.Result) error {
	if warning := readMemory(cgroupRoot).warning("helper", memoryUse{}); warning != "" {
		h.log.Warn(warning)
	}
	_ = h.log.EndOutput() // as any error of the log, it is the framer's, and event returns it
	h.event(job.Event{Ending: true})
	switch {
	case result.State == job.Success:
		h.log.Info("Job succeeded")
	case result.Reason == job.RunnerSystemFailure:
		h.log.Error("Job failed (system failure): " + result.Message)
	default:
		h.log.Error("Job failed: " + result.Message)
	}
	err := h.frames.event(job.Event{Result: &result})
	return errors.Join(err, writeTerminationLog(h.opts.TerminationLog, result))
}

// maxLastWords bounds the message in the termination log: Kubernetes keeps 4 KiB
// of it, and half a JSON object is none. A byte may take six when it is encoded.
const maxLastWords = 600

func clipped(message string) string {
	if len(message) <= maxLastWords {
		return message
	}
	return strings.ToValidUTF8(message[:maxLastWords], "") + "…"
}

// writeTerminationLog stores the result where Kubernetes takes it for the
// container's last words. Where there is no such file, nobody reads it.
func writeTerminationLog(path string, result job.Result) error {
	if path == "" {
		return nil
	}
	result.Message = clipped(result.Message)
	text, err := json.Marshal(result)
	if err != nil {
		return fmt.Errorf("write termination log: %w", err)
	}
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_TRUNC, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("write termination log: %w", err)
	}
	_, err = file.Write(text)
	return errors.Join(err, file.Close())
}
