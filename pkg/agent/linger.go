package agent

import (
	"context"
	"time"
)

// A node keeps only so much of a container's log, and the daemon may be behind
// because GitLab is. So the helper of a long log stays after the result, to be
// able to write frames again, until the daemon deletes the pod.
//
// A container runtime that dies takes with it what it has just read. A gap shows by
// the frame behind it, and behind the last one there is none; so this comes again
// from time to time.
const (
	lingerBytes = 1 << 20   // a stream up to this size is safe on every node
	lingerTime  = time.Hour // GitLab fails a job that it has not heard of for so long

	firstRepeat   = 2 * time.Second // of the last frame; the pauses double
	slowestRepeat = time.Minute
)

// linger returns when nobody can want the stream again: when the pod is being
// deleted, the job is aborted, or its plan does not have the helper stay longer.
func (h *helper) linger(ctx context.Context) {
	stays := h.plan.Stays
	if h.frames.size() > lingerBytes {
		stays = max(stays, lingerTime)
	}
	if stays <= 0 {
		return
	}
	limit, pause := time.NewTimer(stays), firstRepeat
	defer limit.Stop()
	again := time.NewTimer(pause)
	defer again.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-h.aborted:
			return
		case <-limit.C:
			return
		case <-again.C:
		}
		_ = h.frames.repeat() // its error sticks
		pause = min(2*pause, slowestRepeat)
		again.Reset(pause)
	}
}
