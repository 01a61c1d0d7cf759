package trace

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"go.uber.org/zap"
)

// Resume takes over a job that another process has run before, instead of
// Acknowledge: it tells GitLab that the job runs, and finds out how much of the
// log GitLab has; [Trace.Sent] then says it. begin is the beginning of the log,
// not empty. It needs Options.Resume, comes before Run, and goes on trying until
// GitLab has answered, ctx ends, or Options.FinishTimeout is over ([ErrUndelivered]).
func (t *Trace) Resume(ctx context.Context, begin []byte) (Verdict, error) {
	t.o.Backlog.join(t)
	verdict, err := t.resume(ctx, begin)
	if err != nil || verdict == Drop {
		t.o.Backlog.leave(t) // there will be no Run
	}
	return verdict, err
}

func (t *Trace) resume(ctx context.Context, begin []byte) (Verdict, error) {
	ctx, cancel := t.bounded(ctx)
	defer cancel()
	verdict, err := t.Acknowledge(ctx)
	for ; !t.acknowledged && verdict != Drop; verdict, err = t.Acknowledge(ctx) {
		if err := t.again(ctx, "take over job", err); err != nil {
			return GoOn, err
		}
	}
	if verdict == Drop {
		return Drop, nil
	}
	for refusals := 0; ; {
		found, err := t.locate(ctx, begin)
		switch {
		case t.isOver():
			return Drop, nil
		case found:
			t.failures = 0
			return verdict, nil
		case errors.As(err, new(*refusal)):
			if refusals++; refusals >= mostRefusals {
				return GoOn, fmt.Errorf("find the end of the log: %w", err)
			}
		}
		if err := t.again(ctx, "find the end of the log", err); err != nil {
			return GoOn, err
		}
	}
}

// again waits before a request is repeated that failed with err; nil is no
// failure. Its error is the cause of ctx.
func (t *Trace) again(ctx context.Context, what string, err error) error {
	if err == nil || ctx.Err() != nil {
		return context.Cause(ctx)
	}
	t.failed(what, err)
	return t.wait(ctx, time.Until(t.notBefore))
}

// locate sends the beginning of the log once more. GitLab refuses it with the
// length of what it has; where it has nothing, the log begins with it.
func (t *Trace) locate(ctx context.Context, begin []byte) (found bool, err error) {
	begin = begin[:min(len(begin), t.chunkMax)]
	answer, err := t.o.API.PatchTrace(ctx, t.o.Job, 0, begin, t.o.Debug)
	t.lastPatch = time.Now()
	if err != nil {
		return false, err
	}
	t.heard(answer)
	switch {
	case t.refused(answer):
		t.giveUp("find the end of the log", answer)
		return false, nil
	case answer.Status == http.StatusAccepted:
		t.confirm(int64(len(begin)))
		return true, nil
	case answer.Status == http.StatusRequestedRangeNotSatisfiable:
		t.confirm(max(answer.Length, 0))
		return true, nil
	case answer.Status == http.StatusRequestEntityTooLarge && t.chunkMax > minChunk:
		t.chunkMax = max(len(begin)/2, minChunk)
		return false, errorOf(answer)
	case busy(answer.Status):
		return false, errorOf(answer)
	}
	return false, &refusal{errorOf(answer)}
}

// SkipLost goes on behind the log that GitLab has, although less of it could be
// written again, and returns how many bytes are missing here; 0 is the rule. The
// log at GitLab stays whole, but nobody knows its checksum any more.
func (t *Trace) SkipLost() int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	missing := t.confirmed - t.written
	if missing <= 0 {
		return 0
	}
	t.log.Error("log cannot be repeated as far as GitLab has it; it goes on there, with a checksum that does not fit",
		zap.Int64("bytes", missing), zap.Int64("written", t.written), zap.Int64("at_gitlab", t.confirmed))
	t.written = t.confirmed
	return missing
}
