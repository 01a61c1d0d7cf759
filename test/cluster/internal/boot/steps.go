package boot

import (
	"bufio"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
)

// steps reports progress to the "up" command, line by line. That command may be
// gone; nothing here fails for it.
type steps struct {
	mu sync.Mutex // one line at a time
	w  io.Writer
}

// The last line is one of these; all others are for people.
const (
	upLine   = "@up"
	failLine = "@fail "
)

// do runs one step and reports how long it took.
func (s *steps) do(what string, step func() error) error {
	began := time.Now()
	if err := step(); err != nil {
		return err
	}
	s.line("%s ready %.1fs", what, time.Since(began).Seconds())
	return nil
}

func (s *steps) line(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fmt.Fprintf(s.w, format+"\n", args...)
}

// finish reports the end: the cluster is up, or err says why it is not.
func (s *steps) finish(err error) {
	if err == nil {
		s.line(upLine)
	} else {
		s.line("%s%s", failLine, strings.ReplaceAll(err.Error(), "\n", " "))
	}
}

// Fail reports to progress that the cluster did not come up.
func Fail(progress io.Writer, err error) { (&steps{w: progress}).finish(err) }

// Follow copies the progress that a supervisor writes to out until the cluster
// is up. Its error says why it is not.
func Follow(progress io.Reader, out io.Writer) error {
	lines := bufio.NewScanner(progress)
	for lines.Scan() {
		line := lines.Text()
		if line == upLine {
			return nil
		}
		if reason, failed := strings.CutPrefix(line, failLine); failed {
			return fmt.Errorf("%s", reason)
		}
		fmt.Fprintln(out, line)
	}
	return fmt.Errorf("the supervisor died")
}
