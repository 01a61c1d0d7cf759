package lifecycle

import (
	"fmt"
	"slices"
	"time"

	"github.com/runnerd/runnerd/pkg/job"
)

// maxAside is how many lines of services wait at most: for the end of a line of
// the pod's, or for the record.
const maxAside = 10000

// What a job's record takes of services' lines.
const (
	recordPause = time.Second           // the least time between two writes of a job that has written many
	recordStep  = 20 * time.Millisecond // by which the time grows until then: short jobs keep the order of things
	recordLook  = 250 * time.Millisecond
	maxRecorded = 512 << 10 // bytes
)

// serviceLines take what the executor tells of a job's services to its log.
type serviceLines struct {
	*ownLines
	names []string
}

func (l *ownLines) services(plan *job.Plan) serviceLines {
	return serviceLines{ownLines: l, names: job.ServiceNames(plan.Services)}
}

// Since implements executor.Services.
func (s serviceLines) Since(n int) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.marks[n]
}

// Print implements executor.Services. What all services print is bounded as what
// the job prints is, and by what a record holds.
func (s serviceLines) Print(n int, at, line string) {
	s.mu.Lock()
	before := s.printed
	s.printed += int64(len(line) + 1)
	limit := int64(maxRecorded)
	if s.limit > 0 {
		limit = min(limit, s.limit)
	}
	over := s.printed > limit
	first := over && before <= limit
	s.mu.Unlock()
	switch {
	case first:
		s.put(func() {
			s.log.ServiceWarning(n, fmt.Sprintf("the output of the services exceeded the limit of %d bytes; no more of it is shown", limit))
		})
	case !over:
		s.put(func() {
			s.log.Service(n, s.names[n], line)
			s.journal.note(func(f *fact) { f.mark(n, at) })
		})
	}
}

// Warning implements executor.Services.
func (s serviceLines) Warning(n int, warning string, last ...string) {
	what := fmt.Sprintf("%d: %s", n, warning)
	s.mu.Lock()
	known := slices.Contains(s.warned, what)
	s.warned = append(s.warned, what)
	s.mu.Unlock()
	if known {
		return
	}
	s.put(func() {
		s.log.ServiceWarning(n, warning)
		for _, line := range last {
			s.log.Service(n, s.names[n], line)
		}
		s.journal.note(func(f *fact) { f.Told = append(f.Told, what) })
	})
}

// put has write write as soon as the pod's log is at the end of a line.
func (l *ownLines) put(write func()) {
	l.writing.Lock()
	defer l.writing.Unlock()
	l.mu.Lock()
	if len(l.aside) == maxAside {
		l.aside[maxAside-1] = func() {
			l.log.ServiceWarning(0, "lines of the services are missing here: there were too many while the job was in the middle of its own line")
		}
	} else {
		l.aside = append(l.aside, write)
	}
	l.mu.Unlock()
	l.asides(false)
}

// look writes what waits and has waited long enough.
func (l *ownLines) look() {
	l.writing.Lock()
	defer l.writing.Unlock()
	l.asides(false)
	_ = l.journal.sync() // the error sticks
}

// early reports whether lines have been recorded so lately that others wait.
func (l *ownLines) early() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return time.Since(l.shown) < min(recordPause, time.Duration(l.shows)*recordStep)
}

// asides writes the lines that wait, unless the pod is in the middle of one. Lines
// that are recorded are written once a second at most in the end: the pod's next
// byte has to wait for the record. now says that there will be no later.
func (l *ownLines) asides(now bool) {
	if !now && (l.journal.behind() || l.journal.recorded() && l.early()) {
		return
	}
	l.mu.Lock()
	lines := l.aside
	if l.midLine {
		lines = nil
	} else {
		l.aside = nil
	}
	l.mu.Unlock()
	if len(lines) == 0 {
		return
	}
	l.mu.Lock()
	l.shown = time.Now()
	l.shows++
	l.mu.Unlock()
	l.endPrepare()
	for _, write := range lines {
		write()
	}
}
