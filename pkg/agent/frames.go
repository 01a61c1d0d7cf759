package agent

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/runnerd/runnerd/pkg/frame"
	"github.com/runnerd/runnerd/pkg/job"
)

// gather is how long log bytes wait for more when frames follow one another;
// the first after a pause does not wait.
const gather = 10 * time.Millisecond

// A framer writes the job's stream: frames of log bytes, with events in
// between. It keeps a copy of every frame, to be able to write it again.
type framer struct {
	wake chan struct{} // there are log bytes to write

	mu      sync.Mutex
	out     io.Writer
	store   *os.File
	seq     int64
	offset  int64 // of the next log byte to be framed
	pending []byte
	line    []byte // the lines that were written last
	err     error  // the first of out and store; it sticks
}

func newFramer(out io.Writer, store *os.File) *framer {
	return &framer{wake: make(chan struct{}, 1), out: out, store: store}
}

// Run writes what Write takes until ctx ends. What is left then waits for
// flush.
func (f *framer) Run(ctx context.Context) {
	timer := time.NewTimer(gather)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-f.wake:
		}
		_ = f.flush() // the error sticks
		timer.Reset(gather)
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
	}
}

// Write takes bytes of the log. They are written soon.
func (f *framer) Write(p []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.pending = append(f.pending, p...)
	if len(f.pending) >= frame.MaxPayload {
		f.cut(false)
	}
	if len(f.pending) > 0 {
		select {
		case f.wake <- struct{}{}:
		default:
		}
	}
	if f.err != nil {
		return 0, f.err
	}
	return len(p), nil
}

// flush writes all log bytes taken so far.
func (f *framer) flush() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.cut(true)
	return f.err
}

// size is how many bytes of the log have been framed.
func (f *framer) size() int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.offset
}

// event writes an event behind the log bytes taken so far.
func (f *framer) event(e job.Event) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.cut(true)
	e.Time = time.Now()
	if e.Result != nil {
		e.Result.LogBytes = f.offset
	}
	text, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("write event: %w", err)
	}
	f.line = f.append(f.line[:0], frame.Event, text)
	f.emit(f.line)
	return f.err
}

// cut makes frames of the pending bytes: of all, or only full ones.
func (f *framer) cut(all bool) {
	if len(f.pending) == 0 {
		return
	}
	f.line = f.line[:0]
	rest := f.pending
	for len(rest) >= frame.MaxPayload || all && len(rest) > 0 {
		n := min(len(rest), frame.MaxPayload)
		f.line = f.append(f.line, frame.Log, rest[:n])
		f.offset += int64(n)
		rest = rest[n:]
	}
	f.pending = f.pending[:copy(f.pending, rest)]
	f.emit(f.line)
}

func (f *framer) append(dst []byte, kind frame.Kind, payload []byte) []byte {
	dst = frame.Append(dst, frame.Frame{Seq: f.seq, Offset: f.offset, Time: time.Now(), Kind: kind, Payload: payload})
	f.seq++
	return dst
}

func (f *framer) emit(lines []byte) {
	if len(lines) == 0 || f.err != nil {
		return
	}
	if _, err := f.store.Write(lines); err != nil {
		f.err = fmt.Errorf("keep the job's stream: %w", err)
		return
	}
	if _, err := f.out.Write(lines); err != nil {
		f.err = fmt.Errorf("write the job's stream: %w", err)
	}
}

// repeat writes the last frame once more, or the last ones.
func (f *framer) repeat() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err != nil {
		return f.err
	}
	if _, err := f.out.Write(f.line); err != nil {
		f.err = fmt.Errorf("write the job's stream: %w", err)
	}
	return f.err
}

// resend writes all frames from number first on once more.
func (f *framer) resend(first int64) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	info, err := f.store.Stat()
	if err != nil {
		return fmt.Errorf("send frames again: %w", err)
	}
	lines := bufio.NewReaderSize(io.NewSectionReader(f.store, 0, info.Size()), 64<<10)
	for {
		start, err := lines.Peek(len("R1 ") + 20)
		if len(start) == 0 {
			if err != io.EOF {
				return fmt.Errorf("send frames again: %w", err)
			}
			return nil
		}
		if frameSeq(start) >= first {
			if _, err := lines.WriteTo(f.out); err != nil {
				f.err = fmt.Errorf("write the job's stream: %w", err)
			}
			return f.err
		}
		for err = bufio.ErrBufferFull; errors.Is(err, bufio.ErrBufferFull); {
			_, err = lines.ReadSlice('\n')
		}
	}
}

// frameSeq returns the number of the frame that a line begins with.
func frameSeq(line []byte) int64 {
	fields := bytes.SplitN(line, []byte(" "), 3)
	if len(fields) < 3 {
		return -1
	}
	n, err := strconv.ParseInt(string(fields[1]), 10, 64)
	if err != nil {
		return -1
	}
	return n
}
