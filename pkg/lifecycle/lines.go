package lifecycle

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/runnerd/runnerd/pkg/job"
	"github.com/runnerd/runnerd/pkg/joblog"
	"github.com/runnerd/runnerd/pkg/judge"
)

const preparePhase = "prepare_executor"

// ownLines are the daemon's lines in a job's log: those before the pod's log
// begins, and those behind it when something went wrong. In between, jobLog
// passes the pod's bytes through as they are: the agent has made them.
type ownLines struct {
	journal *journal
	options job.LogOptions // of log
	log     *joblog.Writer

	mu        sync.Mutex
	preparing bool           // the section of the executor's preparations is open
	pod       openSections   // those of the pod's log
	midLine   bool           // the pod's last byte was no line feed
	aside     []func()       // lines that wait for the end of the pod's line
	printed   int64          // bytes of services' output so far
	limit     int64          // of those; 0 means none
	shown     time.Time      // when lines that waited were last written
	shows     int            // how often
	marks     map[int]string // the services' last lines that the process before has written
	warned    []string       // what has been told of services

	writing sync.Mutex // one of the pod and the services writes
}

func newOwnLines(trace io.Writer, options job.LogOptions) *ownLines {
	l := &ownLines{journal: newJournal(trace)}
	l.restyle(options)
	return l
}

// restyle changes how the lines that follow look. Nobody else uses l meanwhile.
func (l *ownLines) restyle(options job.LogOptions) {
	l.limit = options.LimitBytes
	options.LimitBytes = 0 // the agent limits the job's output; these few lines are always written
	l.options = options
	l.log = joblog.New(l.journal, joblog.Options{LogOptions: options})
}

func (l *ownLines) header(r *Runner, j *job.Job) {
	l.log.Plain(fmt.Sprintf("Running with %s %s (%s)", r.Plan.Product, r.Plan.Version, r.Plan.Revision))
	l.log.Plain(fmt.Sprintf("  on %s %s, system ID: %s", r.Plan.RunnerName, r.Plan.ShortToken, r.SystemID))
	if flags := job.ChangedFlags(j.Variables, r.Plan.FeatureFlags); len(flags) > 0 {
		l.log.Plain("  feature flags: " + strings.Join(flags, ", "))
	}
	if line := enforced(j.Enforced); line != "" {
		l.log.Plain(line)
	}
}

// enforced says which of GitLab's policies has added the job.
func enforced(e job.Enforced) string {
	if e.By == "" {
		return ""
	}
	line := fmt.Sprintf("Job was added by the pipeline execution policy %q", e.By)
	exceptions := ""
	if len(e.Exceptions) > 0 {
		exceptions = ", except " + strings.Join(e.Exceptions, ", ")
	}
	switch e.Override {
	case job.True:
		return line + "; the project's variables override the policy's" + exceptions
	case job.False:
		return line + "; the project's variables do not override the policy's" + exceptions
	}
	return line
}

// prepare opens the section in which the executor says what it does. It ends
// with the first byte of the pod's log.
func (l *ownLines) prepare(executor string) {
	l.log.Section(preparePhase, fmt.Sprintf("Preparing the %q executor", executor))
	l.mu.Lock()
	defer l.mu.Unlock()
	l.preparing = true
}

// Info implements executor.Notes.
func (l *ownLines) Info(line string) { l.note(line, l.log.Plain) }

// Warn implements executor.Notes.
func (l *ownLines) Warn(line string) { l.note(line, l.log.Warn) }

// note writes a line of the executor's. One behind the pod's first byte says
// that the job begins anew: the pod before has left its sections open.
func (l *ownLines) note(line string, write func(string)) {
	if l.journal.behind() {
		return // it stands in the log already, or comes too late
	}
	l.mu.Lock()
	anew := !l.preparing
	l.mu.Unlock()
	if !anew {
		write(line)
		return
	}
	l.endPod()
	write(line)
	_ = l.log.EndOutput() // the error sticks
}

// again says that the job begins anew in another pod.
func (l *ownLines) again(what string) error {
	l.mu.Lock()
	l.marks = nil
	prepared := !l.preparing
	l.mu.Unlock()
	return l.journal.anew(what, prepared)
}

// judged tells what the policy says, when a job's author should know it.
func (l *ownLines) judged(v judge.Verdict) {
	for _, note := range v.Notes {
		l.log.Plain(note)
	}
	if !v.Denied() && !v.WouldBeDenied() {
		return
	}
	for _, line := range v.Lines() {
		l.log.Warn(line)
	}
}

// jobLog returns the way of the pod's bytes to the trace.
func (l *ownLines) jobLog() io.Writer { return podLog{l} }

type podLog struct{ *ownLines }

func (p podLog) Write(b []byte) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	p.writing.Lock()
	defer p.writing.Unlock()
	before := p.endPrepareAt(b)
	if err := p.log.Err(); err != nil {
		return 0, err
	}
	p.mu.Lock()
	p.pod.see(b)
	p.midLine = b[len(b)-1] != '\n'
	p.mu.Unlock()
	n, err := p.journal.pod(before, b)
	if err == nil {
		p.asides(false)
	}
	return n, err
}

func (l *ownLines) endPrepare() {
	if l.stopPreparing() {
		l.prepared()
	}
}

// stopPreparing reports whether the section of the preparations was open.
func (l *ownLines) stopPreparing() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	was := l.preparing
	l.preparing = false
	return was
}

// prepared writes the end of that section.
func (l *ownLines) prepared() {
	l.journal.prepared()
	l.log.EndSection(preparePhase)
	l.log.Yield() // to the agent, which writes the pod's log
}

// failed ends the log of a job that the agent could not end.
func (l *ownLines) failed(o job.Outcome) {
	l.endPod()
	l.log.Error(epitaph(o))
}

// lost says that bytes of the pod's log are missing between what it wrote last and
// what it writes next.
func (l *ownLines) lost(bytes int64) {
	l.writing.Lock()
	defer l.writing.Unlock()
	l.endPrepare()
	l.mu.Lock()
	midLine := l.midLine
	l.midLine = false
	l.mu.Unlock()
	if midLine {
		_, _ = io.WriteString(l.journal, "\n") // the error comes again with the next write
	}
	l.log.Warn(thousands(bytes) + " bytes of this log are lost: the node had rotated them away before they were read, " +
		"and the helper, which is gone, cannot write them again")
}

// thousands writes 12345678 as 12,345,678.
func thousands(n int64) string {
	text := strconv.FormatInt(n, 10)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

// behind writes a warning behind the pod's log.
func (l *ownLines) behind(warning string) {
	l.endPod()
	l.log.Warn(warning)
}

// told writes a line behind the pod's log.
func (l *ownLines) told(line string) {
	l.endPod()
	l.log.Info(line)
}

// endPod ends the line and the sections that the pod's log has left open.
func (l *ownLines) endPod() {
	l.endPrepare()
	defer l.asides(true)
	l.mu.Lock()
	midLine, open := l.midLine, l.pod.names
	l.midLine, l.pod = false, openSections{}
	l.mu.Unlock()
	if midLine {
		// The trace's error comes again with the next write.
		_, _ = io.WriteString(l.journal, "\n")
	}
	for _, name := range slices.Backward(open) {
		l.log.EndSection(name)
	}
}

// close ends the log. It returns an error when the job's end could not be recorded
// yet: the next process has to report it.
func (l *ownLines) close(o job.Outcome, kept bool) error {
	l.mu.Lock()
	waiting := len(l.aside) > 0
	l.mu.Unlock()
	if waiting {
		l.endPod()
	}
	_ = l.log.EndOutput() // the error is the trace's, which knows it
	return l.journal.finish(ending{Outcome: o, Kept: kept})
}
