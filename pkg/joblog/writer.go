package joblog

import (
	"io"
	"sync"
	"time"

	"github.com/runnerd/runnerd/pkg/job"
	"github.com/runnerd/runnerd/pkg/mask"
)

// Options say how a log looks.
type Options struct {
	job.LogOptions

	// Now tells the time; nil means time.Now.
	Now func() time.Time
}

// The streams of a log with timestamps.
const (
	runnerStream = 0x00
	jobStream    = 0x01

	// serviceStream is that of the first service; the others follow.
	serviceStream = 0x0f
)

// A Writer writes one job's log. Write takes the job's output; the other
// methods write runnerd's own lines. It is safe for concurrent use.
//
// The first error of the Writer behind sticks: Write, Flush, EndOutput and Err
// return it, and nothing is written any more.
type Writer struct {
	now      func() time.Time
	sections bool

	mu    sync.Mutex
	limit *limiter
	stamp *stamper // nil without timestamps
	own   *stream
	job   *stream

	services map[int]*stream // the service's number to its output
	options  Options

	commands *commandFilter // stands before the job's stream

	runIn   int64 // bytes behind a gap that are not kept: a secret may begin in the gap
	settles int64 // of them, how many are still to come
}

// New returns a Writer that writes the log to out. Each Write to out carries
// whole entries when the log has timestamps.
func New(out io.Writer, opts Options) *Writer {
	w := &Writer{options: opts, services: map[int]*stream{}, now: opts.Now, sections: opts.Sections, limit: newLimiter(out, opts.LimitBytes)}
	if w.now == nil {
		w.now = time.Now
	}
	w.limit.notice = w.notice
	if opts.Timestamps {
		w.stamp = &stamper{out: w.limit, now: w.now}
		w.limit.entries = true
	}
	w.own = w.newStream(runnerStream, opts)
	w.job = w.newStream(jobStream, opts)
	w.runIn = maxTail
	for _, phrase := range opts.Masks {
		w.runIn = max(w.runIn, maxTail+int64(len(phrase)))
	}
	w.commands = &commandFilter{out: w.job.mask, addMask: w.addMask}
	return w
}

// A stream is the way of one stream's bytes to the limit.
type stream struct {
	mask *mask.Writer
	utf8 *utf8Writer
	end  lineEnder
}

// A lineEnder ends a line that the stream left open.
type lineEnder interface {
	io.Writer
	// pause lets another stream write: the line goes on later.
	pause() error
	// close ends the line for good.
	close() error
	// yield leaves an open line to whoever writes next.
	yield()
}

func (w *Writer) newStream(number byte, opts Options) *stream {
	var end lineEnder = &rawStream{out: w.limit}
	if w.stamp != nil {
		end = &stampedStream{stamper: w.stamp, number: number}
	}
	clean := &utf8Writer{out: end}
	return &stream{
		mask: mask.New(clean, mask.Options{Phrases: opts.Masks, Prefixes: opts.MaskPrefixes}),
		utf8: clean,
		end:  end,
	}
}

// flush ends the stream's text: nothing is held back any more.
func (s *stream) flush() {
	// Errors stick in the limiter.
	_ = s.mask.Flush()
	_ = s.utf8.flush()
}

// Write writes output of the job.
func (w *Writer) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.limit.err; err != nil {
		return 0, err
	}
	rest := p
	if w.settles > 0 {
		n := min(int64(len(rest)), w.settles)
		w.writeJob(rest[:n])
		rest = rest[n:]
		w.settles -= n
		w.limit.forget(0)
	}
	w.writeJob(rest)
	return len(p), w.limit.err
}

func (w *Writer) writeJob(p []byte) { _, _ = w.commands.Write(p) } // errors stick in the limiter

// Full reports whether the limit was reached: of what the job prints now only
// the last part will be shown, at the end.
func (w *Writer) Full() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.limit.over && !w.limit.ended
}

// LeaveOut says that n bytes of the job's output are left out, because a Full log
// would not show them. What is written next is only kept from where no secret
// can reach that began in them; the caller leaves enough for that and for the
// log's last part.
func (w *Writer) LeaveOut(n int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.flushJob()
	w.limit.forget(n)
	w.settles = w.runIn
}

// addMask masks phrase from now on, in the job's output and in runnerd's lines.
func (w *Writer) addMask(phrase string) {
	w.job.mask.Add(phrase)
	w.own.mask.Add(phrase)
	w.runIn = max(w.runIn, maxTail+int64(len(phrase)))
}

// Flush ends the job's output for now, as at the end of a step: what was held
// back because it might have been the beginning of a secret is written, and an
// open line ends.
func (w *Writer) Flush() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.flushJob()
	return w.limit.err
}

func (w *Writer) flushJob() {
	w.commands.flush()
	w.job.flush()
	_ = w.job.end.close()
}

// EndOutput ends what counts against the limit. If the limit was reached, the
// end of the output is written now, behind a line that says how many bytes are
// missing. Lines that follow, such as the job's result, are always written.
func (w *Writer) EndOutput() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.flushJob()
	if w.limit.over {
		_ = w.own.end.close() // the next own line must not continue one that is missing
	}
	w.limit.end()
	return w.limit.err
}

// Yield says that another Writer goes on with the log: what this one writes
// afterwards begins a line, and continues none of the other's.
func (w *Writer) Yield() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.flushJob()
	w.own.end.yield()
}

// Err returns the first error of the Writer behind.
func (w *Writer) Err() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.limit.err
}

// writeOwn writes text to runnerd's own stream. An open line of the job is
// interrupted and goes on afterwards; what the mask holds back stays there.
func (w *Writer) writeOwn(text string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	_ = w.job.end.pause()
	_, _ = w.own.mask.Write([]byte(text))
	w.own.flush()
}

// notice formats a line of runnerd's own for the limiter.
func (w *Writer) notice(text string) []byte {
	var line []byte
	if w.stamp != nil {
		line = appendHeader(line, w.now(), runnerStream, false)
	}
	return append(line, noticeStyle+text+reset+"\n"...)
}

// A rawStream passes bytes on as they are.
type rawStream struct {
	out  io.Writer
	open bool // the last byte was no line feed
}

func (s *rawStream) Write(p []byte) (int, error) {
	if len(p) > 0 {
		s.open = p[len(p)-1] != '\n'
	}
	return s.out.Write(p)
}

// pause and close put the line of another stream at the beginning of a line.
func (s *rawStream) pause() error { return s.close() }

func (s *rawStream) yield() { s.open = false }

func (s *rawStream) close() error {
	if !s.open {
		return nil
	}
	s.open = false
	_, err := s.out.Write([]byte("\n"))
	return err
}
