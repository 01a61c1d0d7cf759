package agent

import (
	"context"
	"time"
)

// A node keeps only so much of a container's log, and the daemon may be behind
// because GitLab is. So the helper of a long log stays after the result, to be
// able to write frames again, until the daemon deletes the pod.
const (
	lingerBytes = 1 << 20   // a stream up to this size is safe on every node
	lingerTime  = time.Hour // GitLab fails a job that it has not heard of for so long
)

// linger returns when nobody can want the stream again: at once for a short
// one, else when the pod is being deleted or the job is aborted.
func (h *helper) linger(ctx context.Context) {
	if h.frames.size() <= lingerBytes {
		return
	}
	limit := time.NewTimer(lingerTime)
	defer limit.Stop()
	select {
	case <-ctx.Done():
	case <-h.aborted:
	case <-limit.C:
	}
}
