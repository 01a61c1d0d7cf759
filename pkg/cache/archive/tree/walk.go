package tree

import (
	"context"
	"slices"
	"sync"
)

// A walk goes through the folders below a pattern's base with several
// goroutines.
type walk struct {
	*collection
	pattern *pattern

	mu      sync.Mutex
	wake    sync.Cond
	waiting []*folder // the last one is next: it is likely to be near the one before
	busy    int       // workers that may still add to waiting
}

// run returns when all folders are read. Its error is ctx's.
func (w *walk) run(ctx context.Context) error {
	var running sync.WaitGroup
	for range workers() {
		running.Go(func() {
			r := &reader{walk: w, cursor: w.root.Cursor()}
			defer r.cursor.Close()
			for f := w.next(); f != nil; f = w.next() {
				if ctx.Err() == nil {
					r.read(f)
				}
				w.found(f)
			}
		})
	}
	running.Wait()
	return context.Cause(ctx)
}

// next returns the next folder to read, or nil when there will be none.
func (w *walk) next() *folder {
	w.mu.Lock()
	defer w.mu.Unlock()
	for len(w.waiting) == 0 && w.busy > 0 {
		w.wake.Wait()
	}
	if len(w.waiting) == 0 {
		return nil
	}
	f := w.waiting[len(w.waiting)-1]
	w.waiting = w.waiting[:len(w.waiting)-1]
	w.busy++
	return f
}

// found adds what is inside of f, which has been read.
func (w *walk) found(f *folder) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, sub := range slices.Backward(f.inside) {
		w.waiting = append(w.waiting, sub.folder)
	}
	w.busy--
	w.wake.Broadcast()
}
