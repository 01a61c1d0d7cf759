package agent

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// The files of the control directory, and the values of signal.
const (
	signalFile   = "signal"
	resendFile   = "resend"
	goFile       = "go" // whatever it holds
	signalCancel = "cancel"
	signalStop   = "stop"
)

// A control follows what the daemon tells the job through files.
type control struct {
	dir      string
	watch    *watcher
	onCancel func()
	onStop   func()
	onResend func(first int64)
	onGo     func() // may be called more than once

	signal, resend string // the last ones seen
}

// Run acts on changes until ctx ends.
func (c *control) Run(ctx context.Context) {
	for {
		c.look()
		select {
		case <-ctx.Done():
			return
		case <-c.watch.C:
		}
	}
}

func (c *control) look() {
	if c.read(goFile) != "" {
		c.onGo()
	}
	if signal := c.read(signalFile); signal != c.signal {
		c.signal = signal
		switch signal {
		case signalCancel:
			c.onCancel()
		case signalStop:
			c.onStop()
		}
	}
	if resend := c.read(resendFile); resend != c.resend {
		c.resend = resend
		// What stands behind the number only makes the text another one.
		number, _, _ := strings.Cut(resend, " ")
		if first, err := strconv.ParseInt(number, 10, 64); err == nil {
			c.onResend(first)
		}
	}
}

// read returns "" for a file that does not exist (yet).
func (c *control) read(name string) string {
	text, err := os.ReadFile(filepath.Join(c.dir, name))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(text))
}
