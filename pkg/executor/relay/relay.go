package relay

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/runnerd/runnerd/pkg/frame"
	"github.com/runnerd/runnerd/pkg/job"
)

// A Relay follows one job's stream through any number of connections.
// One goroutine calls Copy; the other methods are safe for concurrent use.
type Relay struct {
	out     io.Writer
	onEvent func(job.Event)
	strays  strayLog

	mu     sync.Mutex // guards what follows; only Copy writes it
	next   int64      // the first frame that has not been seen
	ahead  int64      // the highest frame that CopyResent dropped
	offset int64      // log bytes written
	last   time.Time  // of the last frame seen
	result *job.Result
}

// New returns a Relay that writes the log's bytes to out and tells onEvent,
// which may be nil, of every event. Lines that are no frames go to log, for the
// operator: they come from a crash.
func New(out io.Writer, onEvent func(job.Event), log *zap.Logger) *Relay {
	if onEvent == nil {
		onEvent = func(job.Event) {}
	}
	return &Relay{out: out, onEvent: onEvent, strays: strayLog{log: log}}
}

// Copy reads frames from in until the stream ends or the result came; both are
// a nil error, and [Relay.Result] tells them apart. It may be called again with
// a new stream that begins with a line seen before, or inside one; a new frame
// in its first line is a gap. The package comment lists the errors.
//
// Copy looks at ctx between frames; to end a read that blocks, close in. A
// write to the log that blocks has to be ended by the log.
func (r *Relay) Copy(ctx context.Context, in io.Reader) error {
	return r.copy(ctx, in, mode{})
}

// CopyResent is Copy for a stream whose sender was asked to write the missing
// frames again: frames behind the gap are dropped until the first missing one
// comes, instead of ending the call with a [*GapError].
func (r *Relay) CopyResent(ctx context.Context, in io.Reader) error {
	return r.copy(ctx, in, mode{resent: true})
}

// CopyLossy is Copy for a stream whose missing frames nobody can write again: it
// goes on behind a gap. Before the first byte behind it, lost is told how many bytes
// of the log are missing.
func (r *Relay) CopyLossy(ctx context.Context, in io.Reader, lost func(bytes int64)) error {
	return r.copy(ctx, in, mode{lost: lost})
}

// A mode says what is done about a gap; the zero mode ends the call.
type mode struct {
	resent bool              // drop what is behind it
	lost   func(bytes int64) // go on behind it
}

// Result returns the job's result once it came.
func (r *Relay) Result() (*job.Result, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.result, r.result != nil
}

// NextSeq returns the first frame that has not been seen.
func (r *Relay) NextSeq() int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.next
}

// Behind reports whether CopyResent has dropped frames behind a gap that is
// still open.
func (r *Relay) Behind() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.ahead >= r.next && r.ahead > 0
}

// Bytes returns how many log bytes have been written.
func (r *Relay) Bytes() int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.offset
}

// LastTime returns the sender's time of the last frame seen, or the zero time.
// A log file that holds the stream holds every later frame at or after it.
func (r *Relay) LastTime() time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.last
}

func (r *Relay) copy(ctx context.Context, in io.Reader, m mode) error {
	if _, done := r.Result(); done {
		return nil
	}
	reader := frame.NewReader(in)
	// A stream that is cut out of a log file by time or by rotation may begin
	// with the tail of a line, and a tail may look like a frame when the job
	// printed one. So the first line of a later stream is good for a frame that
	// was seen already; what looks new there is a gap before it.
	cut := r.NextSeq() > 0
	for ; ; cut = false {
		if err := ctx.Err(); err != nil {
			return context.Cause(ctx)
		}
		f, err := reader.Next()
		var stray *frame.StrayError
		switch {
		case errors.As(err, &stray):
			if !cut {
				r.strays.note(stray.Line)
			}
			continue
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			return nil
		case err != nil:
			return fmt.Errorf("read log stream: %w", err)
		}
		done, err := r.accept(f, cut, m)
		if err != nil || done {
			return err
		}
	}
}

// accept takes one frame; done says that it was the last. A frame in a line
// that may be cut is never new.
func (r *Relay) accept(f frame.Frame, cut bool, m mode) (done bool, err error) {
	next, offset := r.NextSeq(), r.Bytes()
	gap := f.Seq > next || f.Seq == next && cut
	switch {
	case f.Seq < next && f.Offset > offset:
		return false, fmt.Errorf("%w: frame %d again, at byte %d, but only %d bytes came before", ErrCorrupt, f.Seq, f.Offset, offset)
	case f.Seq < next:
		return false, nil
	case gap && m.lost != nil && cut:
		return false, nil // it counts as lost
	case gap && m.lost != nil && f.Offset >= offset:
		r.jump(f)
		m.lost(f.Offset - offset)
		offset = f.Offset
	case gap && m.resent:
		r.skip(f.Seq)
		return false, nil
	case gap:
		return false, &GapError{WantSeq: next, GotSeq: f.Seq}
	case f.Offset != offset:
		return false, fmt.Errorf("%w: frame %d is at byte %d, but %d bytes came before", ErrCorrupt, f.Seq, f.Offset, offset)
	}

	var result *job.Result
	switch f.Kind {
	case frame.Log:
		if n, err := r.out.Write(f.Payload); err != nil {
			r.advance(0, int64(n), time.Time{}, nil)
			return false, &WriteError{err}
		}
		offset += int64(len(f.Payload))
	case frame.Event:
		if result, err = r.event(f, offset); err != nil {
			return false, err
		}
	}
	r.advance(1, offset-r.Bytes(), f.Time, result)
	return result != nil, nil
}

func (r *Relay) event(f frame.Frame, offset int64) (*job.Result, error) {
	var event job.Event
	if err := json.Unmarshal(f.Payload, &event); err != nil {
		return nil, fmt.Errorf("%w: event in frame %d: %w", ErrCorrupt, f.Seq, err)
	}
	if event.Result != nil && event.Result.LogBytes != offset {
		return nil, fmt.Errorf("%w: the job wrote %d log bytes, but %d came", ErrCorrupt, event.Result.LogBytes, offset)
	}
	r.onEvent(event)
	return event.Result, nil
}

func (r *Relay) advance(frames, bytes int64, at time.Time, result *job.Result) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.next += frames
	r.offset += bytes
	if !at.IsZero() {
		r.last = at
	}
	r.result = result
}

// jump goes on with f, whatever is missing before it.
func (r *Relay) jump(f frame.Frame) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.next, r.offset = f.Seq, f.Offset
}

func (r *Relay) skip(seq int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ahead = max(r.ahead, seq)
}
