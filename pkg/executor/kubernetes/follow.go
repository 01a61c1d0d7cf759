package kubernetes

import (
	"context"
	"errors"
	"io"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/runnerd/runnerd/pkg/executor/relay"
)

// errNoResult says that the helper is over and its log holds no result.
var errNoResult = errors.New("the helper's log ends without a result")

// How often and how long the log is asked for.
const (
	firstRetry    = 50 * time.Millisecond // a kubelet refuses until it knows the container
	quickRetries  = 40
	slowestRetry  = 2 * time.Second
	unseenRetry   = 10 * time.Second // when no event says that the pod has a node
	finalReads    = 2                // of the whole log, before it is taken to hold no result
	finalPatience = time.Minute      // with errors, when the helper is over
	resendTime    = 30 * time.Second // for the helper to write missing frames again
)

// A follower reads the helper's log through as many connections as it takes.
type follower struct {
	view   *podView
	relay  *relay.Relay
	open   func(ctx context.Context, options *corev1.PodLogOptions) (io.ReadCloser, error)
	resend func(ctx context.Context, seq int64) error // asks the helper to write frames again
	lost   func(bytes int64)                          // is told of a gap that nobody can close; nil: the log ends there
	log    *zap.Logger

	connected atomic.Bool // a stream is open
	gap       atomic.Bool // frames are missing that the helper can write again
	breakOff  atomic.Pointer[context.CancelFunc]

	whole   bool // read from the log's begin, because a gap was found
	mending bool // the helper was asked for missing frames: skip what is behind them
	lossy   bool // nobody can write them again: go on behind them
	tries   int  // since the last new frame
	finals  int  // whole reads since the helper was over
	overAt  time.Time
}

// run returns nil when the result came, errNoResult when it never will, the
// cause of ctx, or an error of the relay that reading again cannot mend.
func (f *follower) run(ctx context.Context) error {
	for {
		if err := f.awaitNode(ctx); err != nil {
			return err
		}
		state, changed := f.view.get()
		before := f.relay.NextSeq()
		err := f.read(ctx)
		if _, done := f.relay.Result(); done {
			return nil
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if f.relay.NextSeq() > before {
			f.tries, f.finals = 0, 0
			f.gap.Store(false)
		}
		f.tries++
		var refused *relay.WriteError
		if errors.As(err, &refused) || errors.Is(err, relay.ErrCorrupt) {
			return err
		}
		if state.over() {
			if f.ended(err) {
				return errNoResult
			}
		} else if err := f.mend(ctx, err); err != nil {
			return err
		}
		if err := f.pause(ctx, changed); err != nil {
			return err
		}
	}
}

// read follows the log through one connection.
func (f *follower) read(ctx context.Context) error {
	options := &corev1.PodLogOptions{Container: containerHelper, Follow: true}
	// The frame's time is the helper's clock before the line reached the log
	// file, so that frame and all later ones lie at or behind it.
	if last := f.relay.LastTime(); !f.whole && !last.IsZero() {
		options.SinceTime = &metav1.Time{Time: last}
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	f.breakOff.Store(&cancel)
	if f.mending {
		defer time.AfterFunc(resendTime, cancel).Stop()
	}
	stream, err := f.open(ctx, options)
	if err != nil {
		return err
	}
	defer func() { _ = stream.Close() }()
	f.connected.Store(true)
	defer f.connected.Store(false)
	wary := &waryReader{in: stream, breakOff: cancel}
	switch {
	case f.lossy:
		return f.relay.CopyLossy(ctx, wary, f.lost)
	case f.mending:
		return f.relay.CopyResent(ctx, wary)
	}
	return f.relay.Copy(ctx, wary)
}

// hangUp ends the stream that is open. What comes behind it is read through another.
func (f *follower) hangUp() {
	if cancel := f.breakOff.Load(); cancel != nil {
		(*cancel)()
	}
}

// mend does what a gap asks for: read the whole log, and when that has the gap
// too (the node has rotated its file away), have the helper write it again.
func (f *follower) mend(ctx context.Context, err error) error {
	var gap *relay.GapError
	if errors.As(err, &gap) {
		f.gap.Store(true)
	}
	switch {
	case errors.As(err, &gap) && !f.whole:
		f.whole, f.tries = true, 0
		f.log.Info("log stream has a gap; reading the whole log", zap.Int64("frame", gap.WantSeq))
	case errors.As(err, &gap), f.mending && f.relay.Behind():
		f.mending = true
		f.log.Info("log has a gap; asking the helper for the frames", zap.Int64("frame", f.relay.NextSeq()))
		return f.resend(ctx, f.relay.NextSeq())
	default:
		f.whole, f.mending = false, false
	}
	return nil
}

// ended decides, after a read that began when the helper was over, whether more
// can come. A kubelet or API server that goes away in the middle may end a
// stream as if it were complete, so one read is not enough.
func (f *follower) ended(err error) bool {
	if f.overAt.IsZero() || unreached(err) {
		f.overAt = time.Now()
	}
	answered := err == nil || apierrors.IsNotFound(err) || apierrors.IsBadRequest(err)
	var gap *relay.GapError
	if answered || errors.As(err, &gap) {
		if f.whole {
			f.finals++
		}
		f.whole, f.mending = true, false
		if f.finals >= finalReads && gap != nil && f.lost != nil && !f.lossy {
			f.lossy, f.finals = true, 0
		}
		return f.finals >= finalReads
	}
	return time.Since(f.overAt) > finalPatience
}

// unreached reports whether the API server itself did not take the request: nothing
// can be said of the log then.
func unreached(err error) bool {
	var status apierrors.APIStatus
	var gap *relay.GapError
	switch {
	case err == nil, errors.As(err, &gap):
		return false
	case !errors.As(err, &status):
		return true
	}
	return apierrors.IsUnauthorized(err) || apierrors.IsTooManyRequests(err)
}

// awaitNode waits until there is a kubelet to ask.
func (f *follower) awaitNode(ctx context.Context) error {
	timer := time.NewTimer(unseenRetry)
	defer timer.Stop()
	for {
		state, changed := f.view.get()
		if state.scheduled() || state.over() {
			return nil
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-changed:
		case <-timer.C:
			return nil
		}
	}
}

// pause waits before the next read; any news of the pod ends it early, since
// the kubelet's refusal may have been lifted.
func (f *follower) pause(ctx context.Context, changed <-chan struct{}) error {
	wait := firstRetry
	if f.tries > quickRetries {
		wait = min(slowestRetry, firstRetry<<min(f.tries-quickRetries, 10))
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-changed:
	case <-timer.C:
	}
	return nil
}
