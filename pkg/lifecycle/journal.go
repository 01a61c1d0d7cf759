package lifecycle

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"

	"github.com/runnerd/runnerd/pkg/executor"
	"github.com/runnerd/runnerd/pkg/job"
)

// maxWhole is how much of a log is kept until its job can not begin anew any more.
const maxWhole = 256 << 10

// A journal is a job's log on its way to the trace. The log is the daemon's own
// lines with the pod's between them, and the next process has to be able to make
// the same bytes again: the pod's it reads from the pod, and the daemon's, with
// their places, are in the job's record, before GitLab gets them.
type journal struct {
	out io.Writer

	mu      sync.Mutex
	save    func(piece) error // into the record; nil: nothing is recorded
	kept    atomic.Bool       // there is a record, and it is whole
	tried   chan struct{}     // closed when there is a record or cannot be one
	begun   bool              // the record is being made: what is written waits
	pieces  []piece           // of the process before, that still have to be repeated
	known   int64             // length of the log that GitLab had when this process began
	at      int64             // bytes of the pod so far
	end     int64             // of those, how many belong to the log; -1: all
	ended   func()            // called when so many have come
	total   int64             // bytes of the log so far
	late    atomic.Bool       // what repeating says, for those that must not wait
	pending []byte            // own bytes that are not recorded yet
	closed  bool              // the section of the preparations ends in pending
	fact    fact              // what is to be recorded with pending
	whole   *bytes.Buffer     // the log so far; nil when it is not needed any more
	err     error             // of out; it sticks
}

// A piece is what the daemon itself has written at one place of a job's log.
type piece struct {
	At   int64  `json:"at"`             // bytes of the pod before it
	Off  int64  `json:"off"`            // bytes of the log before it
	Text []byte `json:"text,omitempty"` // of the log

	// Prepared says that the section of the preparations has ended in it.
	Prepared bool `json:"prepared,omitempty"`
	// Anew says that the job began anew in another pod: the text is the whole log so
	// far, and no piece before counts any more.
	Anew string `json:"anew,omitempty"`
	fact
}

// A fact is what the process knew when it has written a piece.
type fact struct {
	Marks map[int]string `json:"marks,omitempty"` // the time of each service's last line
	Told  []string       `json:"told,omitempty"`  // what was told of services
	End   *ending        `json:"end,omitempty"`
}

func (f fact) empty() bool { return len(f.Marks) == 0 && len(f.Told) == 0 && f.End == nil }

func (f *fact) mark(service int, at string) {
	if f.Marks == nil {
		f.Marks = map[int]string{}
	}
	f.Marks[service] = at
}

func newJournal(out io.Writer) *journal {
	return &journal{out: out, tried: make(chan struct{}), whole: &bytes.Buffer{}, end: -1}
}

// Write takes the daemon's own bytes. They reach GitLab when they are recorded,
// before a byte of the pod that comes later. What an adopted job is told while its
// log is being repeated stands there already, or came too late.
func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.err != nil {
		return 0, j.err
	}
	if j.repeating() {
		return len(p), nil
	}
	j.pending = append(j.pending, p...)
	if j.save == nil {
		return len(p), j.flush()
	}
	return len(p), nil
}

// pod takes bytes of the pod, and the daemon's before the first of them, which
// follow from it and are not recorded.
func (j *journal) pod(before, p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if err := j.flush(); err != nil {
		return 0, err
	}
	if err := j.put(before); err != nil {
		return 0, err
	}
	size := len(p)
	if j.end >= 0 {
		p = p[:min(int64(len(p)), j.end-j.at)]
	}
	for len(j.pieces) > 0 && j.pieces[0].At < j.at+int64(len(p)) {
		n := j.pieces[0].At - j.at
		if err := j.relay(p[:n]); err != nil {
			return 0, err
		}
		if err := j.repeat(); err != nil {
			return 0, err
		}
		p = p[n:]
	}
	err := j.relay(p)
	if err == nil && j.end >= 0 && j.at == j.end {
		j.ended()
	}
	return size, err
}

func (j *journal) relay(p []byte) error {
	j.at += int64(len(p))
	return j.put(p)
}

func (j *journal) put(p []byte) error {
	if len(p) == 0 || j.err != nil {
		return j.err
	}
	if j.whole != nil {
		if j.whole.Len()+len(p) > maxWhole {
			j.whole = nil
		} else {
			j.whole.Write(p)
		}
	}
	j.total += int64(len(p))
	j.late.Store(j.repeating())
	_, j.err = j.out.Write(p)
	return j.err
}

// repeating reports whether GitLab has more of the log than was repeated so far.
func (j *journal) repeating() bool { return len(j.pieces) > 0 || j.total < j.known }

// behind is repeating for those that do not hold the lock. It waits for nothing.
func (j *journal) behind() bool { return j.late.Load() }

// flush records what is pending and passes it on. What the record refuses is
// passed on all the same; what it could not take yet is not.
func (j *journal) flush() error {
	if j.begun || j.err != nil || len(j.pending) == 0 && j.fact.empty() && !j.closed {
		return j.err
	}
	if err := j.store(piece{At: j.at, Off: j.total, Text: j.pending, Prepared: j.closed, fact: j.fact}); err != nil {
		return err
	}
	text := j.pending
	j.pending, j.closed, j.fact = nil, false, fact{}
	return j.put(text)
}

func (j *journal) store(p piece) error {
	if j.save == nil {
		return nil
	}
	err := j.save(p)
	if errors.Is(err, executor.ErrUnrecorded) {
		j.save, err = nil, nil
		j.kept.Store(false)
	}
	j.err = err
	return err
}

// sync is flush for those that do not hold the lock.
func (j *journal) sync() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.flush()
}

// note adds to what is recorded next.
func (j *journal) note(change func(*fact)) {
	j.mu.Lock()
	defer j.mu.Unlock()
	change(&j.fact)
}

// prepared notes that what is written next ends the section of the preparations.
func (j *journal) prepared() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.closed = true
}

// record has everything recorded from now on, by save. begin stores what was
// written so far. Without a record the log goes on as before. It is called once at
// most.
func (j *journal) record(begin, save func(piece) error) error {
	j.mu.Lock()
	text := bytes.Clone(j.whole.Bytes())
	j.begun, j.save = true, save
	j.mu.Unlock()
	err := begin(piece{Text: text})
	j.mu.Lock()
	defer j.mu.Unlock()
	j.begun = false
	if err != nil {
		j.save = nil
	}
	j.kept.Store(err == nil)
	close(j.tried)
	return err
}

// recorded reports whether the next process can go on with the log. It waits for
// nothing.
func (j *journal) recorded() bool { return j.kept.Load() }

// anew records that the job begins anew in another pod: the log of the one before
// cannot be read again.
func (j *journal) anew(what string, prepared bool) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.save == nil {
		return j.flush()
	}
	if j.whole == nil {
		return fmt.Errorf("the job cannot begin anew: its log has more than %d bytes already", maxWhole)
	}
	text := append(bytes.Clone(j.whole.Bytes()), j.pending...)
	if err := j.store(piece{Text: text, Prepared: prepared, Anew: what}); err != nil {
		return err
	}
	text, j.at = j.pending, 0
	j.pending, j.closed, j.fact = nil, false, fact{}
	return j.put(text)
}

// finish passes on what is left. How the job has ended is recorded with it, unless
// it succeeded and nothing is left to say: that the pod's log says as well.
func (j *journal) finish(end ending) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.save != nil && (len(j.pending) > 0 || !j.fact.empty() || end.State != job.Success) {
		j.fact.End = &end
	}
	return j.flush()
}

// settled says that the job will not begin anew any more.
func (j *journal) settled() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.whole = nil
}
