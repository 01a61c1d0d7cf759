package kubernetes

import (
	"fmt"
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
	holding bool   // the helper's bytes wait for settle
	held    []byte // those bytes, at most maxHeld
}

// maxHeld bounds the bytes that wait: a line or two, as a rule.
const maxHeld = 64 << 10

// Write passes the helper's bytes on.
func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	if o.holding && len(o.held)+len(p) <= maxHeld {
		o.held = append(o.held, p...)
		o.mu.Unlock()
		return len(p), nil
	}
	o.started, o.writing = true, true
	first := o.held
	o.holding, o.held = false, nil
	o.mu.Unlock()
	defer func() {
		o.mu.Lock()
		o.writing = false
		o.mu.Unlock()
	}()
	if len(first) > 0 {
		if _, err := o.log.Write(first); err != nil {
			return 0, err
		}
	}
	return o.log.Write(p)
}

// hold has the helper's bytes wait: they say how the job ended, and that may
// not be how it will have ended.
func (o *output) hold() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.holding = true
}

// settle passes on what waits, unless err, which it returns, has ended the job
// in another way. Nothing is written meanwhile.
func (o *output) settle(err error) error {
	o.mu.Lock()
	held := o.held
	o.holding, o.held = false, nil
	o.mu.Unlock()
	if err != nil || len(held) == 0 {
		return err
	}
	if _, err := o.log.Write(held); err != nil {
		return fmt.Errorf("write the end of the job's log: %w", err)
	}
	return nil
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
