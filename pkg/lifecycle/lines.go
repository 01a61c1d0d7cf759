package lifecycle

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"

	"github.com/runnerd/runnerd/pkg/job"
	"github.com/runnerd/runnerd/pkg/joblog"
	"github.com/runnerd/runnerd/pkg/policy"
)

const preparePhase = "prepare_executor"

// ownLines are the daemon's lines in a job's log: those before the pod's log
// begins, and those behind it when something went wrong. In between, jobLog
// passes the pod's bytes through as they are: the agent has made them.
type ownLines struct {
	trace io.Writer
	log   *joblog.Writer

	mu       sync.Mutex
	open     []string // sections that have begun and not ended
	midLine  bool     // the pod's last byte was no line feed
	streamed bool     // the pod's log has begun
}

func newOwnLines(trace io.Writer, options job.LogOptions) *ownLines {
	options.LimitBytes = 0 // the agent limits the job's output; these few lines are always written
	return &ownLines{trace: trace, log: joblog.New(trace, joblog.Options{LogOptions: options})}
}

func (l *ownLines) header(r *Runner, j *job.Job) {
	l.log.Plain(fmt.Sprintf("Running with %s %s (%s)", r.Plan.Product, r.Plan.Version, r.Plan.Revision))
	l.log.Plain(fmt.Sprintf("  on %s %s, system ID: %s", r.Plan.RunnerName, r.Plan.ShortToken, r.SystemID))
	if flags := job.ChangedFlags(j.Variables, r.Plan.FeatureFlags); len(flags) > 0 {
		l.log.Plain("  feature flags: " + strings.Join(flags, ", "))
	}
}

// prepare opens the section in which the executor says what it does. It ends
// with the first byte of the pod's log.
func (l *ownLines) prepare(executor string) {
	l.log.Section(preparePhase, fmt.Sprintf("Preparing the %q executor", executor))
	l.mu.Lock()
	defer l.mu.Unlock()
	l.open = append(l.open, preparePhase)
}

// Info implements executor.Notes.
func (l *ownLines) Info(line string) { l.log.Plain(line) }

// Warn implements executor.Notes.
func (l *ownLines) Warn(line string) { l.log.Warn(line) }

func (l *ownLines) denied(d policy.Decision) {
	for _, line := range d.Lines() {
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
	p.mu.Lock()
	first := !p.streamed
	p.streamed = true
	p.midLine = b[len(b)-1] != '\n'
	p.mu.Unlock()
	if first {
		p.endPrepare()
		if err := p.log.Flush(); err != nil {
			return 0, err
		}
	}
	return p.trace.Write(b)
}

// observe keeps track of the sections that the pod's log has opened: each phase
// is one.
func (l *ownLines) observe(e job.Event) {
	if e.Phase == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if !e.Phase.Done {
		l.open = append(l.open, e.Phase.Name)
		return
	}
	if i := slices.Index(l.open, e.Phase.Name); i >= 0 {
		l.open = slices.Delete(l.open, i, i+1)
	}
}

// failed ends the log of a job that the agent could not end.
func (l *ownLines) failed(o job.Outcome) {
	l.mu.Lock()
	midLine := l.midLine
	l.midLine = false
	l.mu.Unlock()
	if midLine {
		// The trace's error comes again with the next write.
		_, _ = io.WriteString(l.trace, "\n")
	}
	l.closeSections()
	l.log.Error(epitaph(o))
}

func (l *ownLines) endPrepare() {
	l.mu.Lock()
	l.open = slices.DeleteFunc(l.open, func(name string) bool { return name == preparePhase })
	l.mu.Unlock()
	l.log.EndSection(preparePhase)
}

func (l *ownLines) closeSections() {
	l.mu.Lock()
	open := l.open
	l.open = nil
	l.mu.Unlock()
	for _, name := range slices.Backward(open) {
		l.log.EndSection(name)
	}
}

// close flushes the daemon's lines. Errors are the trace's, which knows them.
func (l *ownLines) close() { _ = l.log.EndOutput() }
