package lifecycle

import (
	"fmt"

	"github.com/runnerd/runnerd/pkg/job"
)

// maxAside is how many lines of services wait at most while the pod is in the
// middle of one of its own: an entry of a long line, as a rule.
const maxAside = 1000

// serviceLines take what the executor tells of a job's services to its log.
type serviceLines struct {
	*ownLines
	names []string
}

func (l *ownLines) services(plan *job.Plan) serviceLines {
	return serviceLines{ownLines: l, names: job.ServiceNames(plan.Services)}
}

// Print implements executor.Services. What all services print is bounded as what
// the job prints is.
func (s serviceLines) Print(n int, line string) {
	s.mu.Lock()
	before := s.printed
	s.printed += int64(len(line) + 1)
	over := s.limit > 0 && s.printed > s.limit
	first := over && before <= s.limit
	s.mu.Unlock()
	switch {
	case first:
		s.put(func() {
			s.log.ServiceWarning(n, fmt.Sprintf("the output of the services exceeded the limit of %d bytes; no more of it is shown", s.limit))
		})
	case !over:
		s.put(func() { s.log.Service(n, s.names[n], line) })
	}
}

// Warning implements executor.Services.
func (s serviceLines) Warning(n int, warning string) {
	s.put(func() { s.log.ServiceWarning(n, warning) })
}

// put has write write as soon as the pod's log is at the end of a line.
func (l *ownLines) put(write func()) {
	l.writing.Lock()
	defer l.writing.Unlock()
	l.endPrepare()
	l.mu.Lock()
	if len(l.aside) == maxAside {
		l.aside[maxAside-1] = func() {
			l.log.ServiceWarning(0, "lines of the services are missing here: the job did not end its own line")
		}
	} else {
		l.aside = append(l.aside, write)
	}
	l.mu.Unlock()
	l.asides()
}

// asides writes the lines that wait, unless the pod is in the middle of one.
func (l *ownLines) asides() {
	l.mu.Lock()
	lines := l.aside
	if l.midLine {
		lines = nil
	} else {
		l.aside = nil
	}
	l.mu.Unlock()
	for _, write := range lines {
		write()
	}
}
