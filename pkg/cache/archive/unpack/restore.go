package unpack

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/runnerd/runnerd/pkg/cache/archive"
	"github.com/runnerd/runnerd/pkg/cache/archive/tree"
	"github.com/runnerd/runnerd/pkg/confine"
)

// Layers restores a cache into root: the files of base but for those that delta
// has changed, and those of delta, which may be nil. Folders that are there are
// kept, with what else is in them; anything else in the place of an entry makes
// way.
//
// The Record knows what has been restored; it is nil if that is too much. An
// error is one of archive.ErrCorrupt, [ErrUnsafe], [ErrTooLarge], of the system
// (ENOSPC above all), of a Source, or the cause of ctx's end. Then root is as it
// was before, or the error's text says what is not. Undoing a restore takes about
// as long as it has taken so far without the transfer, and ctx does not end it:
// half a cache would be worse.
//
// Layers is not meant to share root with somebody who changes it meanwhile. Who
// does gets wrong files or an error, but none outside root.
func Layers(ctx context.Context, root *confine.Root, base Layer, delta *Layer, o Options) (*tree.Record, Stats, error) {
	if err := checkLimits(root, base, delta, o); err != nil {
		return nil, Stats{}, err
	}
	decoder, err := archive.NewDecoder(max(o.Workers, 1))
	if err != nil {
		return nil, Stats{}, err
	}
	defer decoder.Close()
	r := newRestore(root, decoder, o)
	defer r.close()
	if err := r.run(ctx, base, delta); err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		if failed := r.undo(); failed != nil {
			err = fmt.Errorf("%w (and not all could be put back as it was: %v)", err, failed) //nolint:errorlint // what is wrong is the first error
		}
		return nil, Stats{}, err
	}
	r.stats.Replaced = len(r.journal.moved)
	r.stats.Left = r.journal.forget(r.workers[0].cursor)
	return r.record(base), r.stats, nil
}

// checkLimits says whether the layers can be restored, as far as their heads tell.
func checkLimits(root *confine.Root, base Layer, delta *Layer, o Options) error {
	raw, entries := base.Raw, base.Entries
	if delta != nil {
		raw += delta.Raw
		entries += delta.Entries
	}
	switch {
	case base.Raw < 0 || raw < base.Raw || base.Entries < 0 || entries < base.Entries:
		return corrupt("a size in the head is negative")
	case o.MaxRaw > 0 && raw > o.MaxRaw:
		return fmt.Errorf("%w: %d bytes unpacked, more than %d", ErrTooLarge, raw, o.MaxRaw)
	case o.MaxEntries > 0 && entries > o.MaxEntries:
		return fmt.Errorf("%w: %d entries, more than %d", ErrTooLarge, entries, o.MaxEntries)
	}
	fs, err := root.Statfs()
	if err != nil {
		return err
	}
	// A file system that does not count its blocks says that it has none.
	free := int64(fs.Bavail) * fs.Bsize
	if fs.Blocks > 0 && raw > free/10*9 {
		return fmt.Errorf("%d bytes unpacked, and %d are free: %w", raw, free, unix.ENOSPC)
	}
	return nil
}

// A restore is the work of one Layers.
type restore struct {
	options Options
	rules   rules
	claims  *claims
	journal *journal
	decoder *archive.Decoder
	workers []*worker
	cover   cover        // of the delta; nil: none
	opened  atomic.Int32 // large files that are not complete
	late    []tree.Known // symlinks, hard links and folders, as finish has made them
	stats   Stats
}

func newRestore(root *confine.Root, decoder *archive.Decoder, o Options) *restore {
	o.Workers, o.Gets = max(o.Workers, 1), max(o.Gets, 1)
	r := &restore{options: o, rules: newRules(root.Dir(), o), claims: newClaims(), journal: newJournal(), decoder: decoder}
	for range o.Workers {
		r.workers = append(r.workers, &worker{restore: r, cursor: root.Cursor()})
	}
	return r
}

func (r *restore) close() {
	for _, w := range r.workers {
		for _, l := range w.larges {
			_ = l.close() // of a restore that has failed
		}
		_ = w.cursor.Close() // folders, only read
	}
}

func (r *restore) run(ctx context.Context, base Layer, delta *Layer) error {
	if delta != nil {
		control, err := r.layer(ctx, *delta, tree.FromDelta)
		if err != nil {
			return fmt.Errorf("delta: %w", err)
		}
		r.cover = coverOf(control.Whiteouts, r.workers)
	}
	if _, err := r.layer(ctx, base, tree.FromBase); err != nil {
		return err
	}
	return r.finish(ctx)
}

// record makes the Record of what was restored, and completes the Stats.
func (r *restore) record(base Layer) *tree.Record {
	restored := tree.Restored{Known: [][]tree.Known{r.late}, Base: tree.Totals{Raw: base.Raw, Entries: base.Entries}}
	for _, w := range r.workers {
		for _, l := range w.larges {
			w.known = append(w.known, l.known)
		}
		restored.Known = append(restored.Known, w.known)
		restored.Hidden = slices.Concat(restored.Hidden, w.hidden)
	}
	return tree.NewRecord(restored)
}
