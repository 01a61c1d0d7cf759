package kubernetes

import (
	"io"
	"sync"

	"github.com/runnerd/runnerd/pkg/executor"
)

// An output is the job's log as the executor fills it: its own notes first,
// then the helper's bytes and nothing else.
type output struct {
	log   io.Writer
	notes executor.Notes

	mu      sync.Mutex
	started bool // the first byte came
	writing bool
}

// Write passes the helper's bytes on.
func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	o.started, o.writing = true, true
	o.mu.Unlock()
	defer func() {
		o.mu.Lock()
		o.writing = false
		o.mu.Unlock()
	}()
	return o.log.Write(p)
}

// info and warn write a line unless the helper's bytes have begun.
func (o *output) info(line string) { o.note(line, executor.Notes.Info) }
func (o *output) warn(line string) { o.note(line, executor.Notes.Warn) }

func (o *output) note(line string, write func(executor.Notes, string)) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.started && o.notes != nil {
		write(o.notes, line)
	}
}

// again tells that the job begins anew in another pod. What the first one has
// printed stays in the log.
func (o *output) again(line string) {
	o.mu.Lock()
	o.started = false
	o.mu.Unlock()
	o.warn(line)
}

// blocked reports whether GitLab is behind at this moment.
func (o *output) blocked() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.writing
}
