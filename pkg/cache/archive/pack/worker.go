package pack

import (
	"context"
	"errors"
	"io/fs"

	"github.com/runnerd/runnerd/pkg/cache/archive"
	"github.com/runnerd/runnerd/pkg/cache/archive/tree"
	"github.com/runnerd/runnerd/pkg/confine"
)

// A record is a unit on its way: a worker fills it in, and closes ready; the
// collector waits for that.
type record struct {
	unit
	ready chan struct{}

	bytes    []byte // nothing if all its files have vanished
	raw      int    // bytes
	packed   int    // entries
	vanished int
}

// A worker makes records.
type worker struct {
	cursor  *confine.Cursor
	encoder *archive.Encoder
	out     buffers
	needed  map[string]bool // files without which others cannot be restored; nil: all of them
	raw     []byte          // tar bytes of a record; used again for each
}

// make fills r in.
func (w *worker) make(ctx context.Context, r *record) error {
	w.raw = w.raw[:0]
	announce := archive.Announce{Kind: r.kind()}
	var err error
	if r.large == nil {
		err = w.whole(ctx, r)
	} else {
		announce.Ordinal, announce.Offset = r.large.ordinal, uint64(r.offset)
		err = w.piece(r)
	}
	if err != nil {
		return err
	}
	if r.raw = len(w.raw); r.raw > 0 {
		out := w.out.get()
		if out == nil {
			// What does not compress takes a little more than its own size.
			out = make([]byte, 0, len(w.raw)+len(w.raw)/64+archive.HeaderBytes)
		}
		r.bytes = w.encoder.Append(out, announce, w.raw)
	}
	close(r.ready)
	return nil
}

// whole writes the entries of r to w.raw.
func (w *worker) whole(ctx context.Context, r *record) error {
	for i := range r.entries {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		e := &r.entries[i]
		before := len(w.raw)
		err := w.entry(e)
		if errors.Is(err, fs.ErrNotExist) {
			w.raw = w.raw[:before]
			if err := w.vanished(e); err != nil {
				return err
			}
			r.vanished++
			continue
		}
		if err != nil {
			return err
		}
		r.packed++
	}
	return nil
}

// entry writes e, with its content if it has any.
func (w *worker) entry(e *tree.Entry) error {
	var err error
	if e.Kind != tree.File || e.Link != "" {
		w.raw, err = appendHeader(w.raw, e)
		return err
	}
	f, err := open(w.cursor, e)
	if err != nil {
		return err
	}
	defer f.Close()
	if w.raw, err = appendHeader(w.raw, e); err != nil {
		return err
	}
	if w.raw, err = appendContent(w.raw, f, e, 0, e.Size); err != nil {
		return err
	}
	w.pad(e.Size)
	return unchanged(f, e)
}

// piece writes a piece of a large file.
func (w *worker) piece(r *record) error {
	l := r.large
	f, err := l.handle(w.cursor)
	if errors.Is(err, fs.ErrNotExist) {
		if r.kind() == archive.KindHead {
			r.vanished++
		}
		return w.vanished(l.entry)
	}
	if err != nil {
		return err
	}
	if r.kind() == archive.KindHead {
		r.packed++
		if w.raw, err = appendHeader(w.raw, l.entry); err != nil {
			return err
		}
	}
	if w.raw, err = appendContent(w.raw, f, l.entry, r.offset, r.size); err != nil {
		return err
	}
	if r.last() {
		w.pad(l.entry.Size)
	}
	return l.done()
}

// vanished says whether the layer is right without e.
func (w *worker) vanished(e *tree.Entry) error {
	if w.needed == nil || w.needed[e.Path] {
		return &changedError{path: e.Path}
	}
	return nil
}

func (w *worker) pad(content int64) {
	w.raw = append(w.raw, zeros[:padding(content)]...)
}

var zeros [2 * blockBytes]byte
