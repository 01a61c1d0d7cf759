package agent

import (
	"context"
	"time"

	"github.com/fsnotify/fsnotify"
)

// How often a watcher looks without being told to.
const (
	handoverPoll = 100 * time.Millisecond
	controlPoll  = 250 * time.Millisecond
)

// A watcher says when something in a directory may have changed: at once where
// the kernel tells, and every poll interval in any case.
type watcher struct {
	C    chan struct{}
	poll time.Duration
	fs   *fsnotify.Watcher // nil: poll only
}

func newWatcher(dir string, poll time.Duration) *watcher {
	w := &watcher{C: make(chan struct{}, 1), poll: poll}
	fs, err := fsnotify.NewWatcher()
	if err != nil {
		return w // out of inotify instances: polling is slower, not wrong
	}
	if err := fs.Add(dir); err != nil {
		fs.Close()
		return w
	}
	w.fs = fs
	return w
}

// Run feeds C until ctx ends.
func (w *watcher) Run(ctx context.Context) {
	var events <-chan fsnotify.Event
	var errs <-chan error
	if w.fs != nil {
		defer w.fs.Close()
		events, errs = w.fs.Events, w.fs.Errors
	}
	ticker := time.NewTicker(w.poll)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-events:
		case <-errs: //nolint:errcheck // whatever it is, looking is the right answer
		case <-ticker.C:
		}
		w.poke()
	}
}

// poke says that it is worth to look.
func (w *watcher) poke() {
	select {
	case w.C <- struct{}{}:
	default: // the one before is not taken yet
	}
}
