package trace

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/runnerd/runnerd/pkg/job"
)

// API is what a trace needs of GitLab. Both calls return an Answer for every
// status, and an error when there was no answer; then nobody knows whether
// GitLab has acted. They repeat a call on their own when GitLab is busy.
type API interface {
	UpdateJob(ctx context.Context, who job.Credentials, u job.Update) (job.Answer, error)
	// PatchTrace may go on reading chunk after it returned; chunk is never
	// written to again.
	PatchTrace(ctx context.Context, who job.Credentials, offset int64, chunk []byte, debug bool) (job.Answer, error)
}

// ErrOver says that GitLab does not want to hear of the job any more: it was
// canceled, failed or deleted there.
var ErrOver = errors.New("job is over at GitLab")

// ErrStopped says that Run has ended before the trace was finished.
var ErrStopped = errors.New("trace is stopped")

// ErrUndelivered says that GitLab was away for longer than Options.FinishTimeout.
var ErrUndelivered = errors.New("GitLab could not be told")

// Defaults of Options.
const (
	DefaultBufferBytes = 256 << 10
	DefaultSpillBytes  = 32 << 20

	DefaultFinishTimeout = 24 * time.Hour
)

// Options say which job a trace is for.
type Options struct {
	API   API
	Job   job.Credentials
	Debug bool // a debugging job: GitLab shows the log to fewer people

	// Resume says that an earlier process has sent a part of the log. The bytes
	// given to Write are still the log from its first byte, the same as before;
	// those that GitLab has are counted and dropped.
	Resume bool

	BufferBytes int    // unconfirmed bytes in memory; 0 means DefaultBufferBytes
	SpillBytes  int64  // unconfirmed bytes on disk; 0 means DefaultSpillBytes, below 0 none
	SpillDir    string // empty means the system's temporary directory

	// FinishTimeout bounds how long GitLab is tried to be told how a job has ended,
	// or that it is gone on with; 0 means DefaultFinishTimeout.
	FinishTimeout time.Duration

	// Lag is told, whenever GitLab has taken a piece of the log, how long the first
	// byte of it had waited here. It must not block, and may be nil.
	Lag func(time.Duration)

	Budget  *Budget     // shared by all traces; may be nil
	Backlog *Backlog    // shared by the traces of a runner; may be nil
	Log     *zap.Logger // may be nil
}

// A Trace is one job's log on its way. Write is for one goroutine at a time;
// the other methods are safe for concurrent use.
type Trace struct {
	o       Options
	log     *zap.Logger
	signals chan job.Signal
	ends    func() time.Time // see Ends; may be nil
	wake    chan struct{}    // there is something new for Run; capacity 1
	ended   chan struct{}    // closed when Run has ended
	running chan struct{}    // closed when GitLab knows that the job runs

	mu        sync.Mutex
	room      sync.Cond // Write waits here
	pending   buffer    // unconfirmed bytes
	ages      ages      // of those
	written   int64     // bytes given to Write
	crc       uint32    // of all of them
	confirmed int64     // length of the log at GitLab
	broken    error     // why no more of the log can be sent
	final     *finish   // set by Finish
	over      bool      // GitLab does not want to hear of the job
	held      bool      // GitLab shall keep the job pending
	stopped   error     // why Run has ended
	blocked   bool      // Write waits
	unblocked time.Time // when it last had waited

	// The rest belongs to the goroutine that talks to GitLab: the one of
	// Acknowledge, then that of Run.
	acknowledged bool
	wasHeld      bool // when it was last looked
	canceling    bool
	interval     time.Duration
	lastPatch    time.Time // end of the last one
	lastContact  time.Time // end of the last exchange that GitLab answered
	notBefore    time.Time // GitLab asked not to be called before
	failures     int       // in a row, without an answer or with a refusal
	chunkMax     int
}

// New returns a trace. It starts nothing.
func New(o Options) *Trace {
	if o.BufferBytes <= 0 {
		o.BufferBytes = DefaultBufferBytes
	}
	if o.SpillBytes == 0 {
		o.SpillBytes = DefaultSpillBytes
	}
	if o.FinishTimeout <= 0 {
		o.FinishTimeout = DefaultFinishTimeout
	}
	if o.Log == nil {
		o.Log = zap.NewNop()
	}
	t := &Trace{
		o: o, log: o.Log.With(zap.Int64("job", o.Job.ID)),
		signals: make(chan job.Signal, 2), wake: make(chan struct{}, 1), ended: make(chan struct{}), running: make(chan struct{}),
		pending:  buffer{memory: o.BufferBytes, disk: o.SpillBytes, dir: o.SpillDir},
		interval: defaultInterval, chunkMax: maxChunk,
	}
	t.room.L = &t.mu
	return t
}

// Signals carries CancelGracefully when somebody cancels the job, and Abort
// when the job is over at GitLab; each at most once. The trace stops on its own
// after an Abort.
func (t *Trace) Signals() <-chan job.Signal { return t.signals }

// Sent returns how many bytes of the log GitLab has confirmed.
func (t *Trace) Sent() int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.confirmed
}

// Blocked returns when Write last had to wait for GitLab: now if it does, the zero
// time if it never had to.
func (t *Trace) Blocked() time.Time {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.blocked {
		return time.Now()
	}
	return t.unblocked
}

// Write takes bytes of the log. It blocks while the buffer is full. It returns
// [ErrOver] once GitLab has given up the job, and [ErrStopped] once Run has
// ended. When the log cannot be sent any more (see [Trace.Finish]), the bytes
// are counted and dropped.
func (t *Trace) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	done := 0
	for done < len(p) {
		if t.over {
			return done, fmt.Errorf("log of job %d: %w", t.o.Job.ID, ErrOver)
		}
		if t.stopped != nil {
			return done, fmt.Errorf("log of job %d: %w: %w", t.o.Job.ID, ErrStopped, t.stopped)
		}
		n := t.take(p[done:])
		if n == 0 {
			t.blocked = true
			t.room.Wait()
			t.blocked, t.unblocked = false, time.Now()
			continue
		}
		t.crc = crc32.Update(t.crc, crc32.IEEETable, p[done:done+n])
		t.written += int64(n)
		done += n
		t.poke()
	}
	return done, nil
}

// take puts what it can of p into the buffer and returns how much that was.
func (t *Trace) take(p []byte) int {
	if t.broken != nil {
		return len(p)
	}
	if skip := t.confirmed - t.written; skip > 0 {
		return int(min(skip, int64(len(p)))) // GitLab has it from an earlier process
	}
	n, err := t.pending.add(t.written, p)
	if n > 0 {
		t.ages.came(t.written, time.Now())
	}
	if err != nil {
		t.log.Warn("log cannot be kept on disk; the job waits when GitLab is slow", zap.Error(err))
	}
	return n
}

// poke wakes Run up.
func (t *Trace) poke() {
	select {
	case t.wake <- struct{}{}:
	default:
	}
}

func (t *Trace) digest() *job.LogDigest {
	t.mu.Lock()
	defer t.mu.Unlock()
	return &job.LogDigest{CRC: t.crc, Bytes: t.written}
}
