package pack

import (
	"context"
	"errors"

	"golang.org/x/sync/errgroup"

	"github.com/runnerd/runnerd/pkg/cache/archive"
	"github.com/runnerd/runnerd/pkg/cache/archive/tree"
	"github.com/runnerd/runnerd/pkg/confine"
)

// A Result is a layer that has been stored.
type Result struct {
	Segments []archive.Segment
	Raw      int64 // bytes in the records but Control and End: what the End record says
	Entries  int   // in the layer
	Vanished int   // entries that are not in the layer, because they were gone

	// Dirty is a file that has changed since its entry was made, or while it was
	// read. Then Layer has stopped, there is nothing else in the Result, and what is
	// stored must not be used.
	Dirty string
}

// Bytes is the layer's size in the store.
func (r *Result) Bytes() int64 {
	var n int64
	for _, s := range r.Segments {
		n += s.Bytes
	}
	return n
}

// Layer makes a layer of the entries, which root has and which are sorted so
// that those of a folder are together, and stores its segments in sink.
//
// A file that has vanished is left out, unless control says that the layer is a
// delta, or another entry is a hard link to it: then that is a change like
// others, see [Result.Dirty]. A hard link to a file that is not among the
// entries becomes a file by itself.
//
// Layer returns [ErrTooLarge] when a limit of o is exceeded, the error of sink
// as soon as there is one, and the cause of ctx when that ends. Whatever it
// returns, nothing of it goes on afterwards.
func Layer(ctx context.Context, root *confine.Root, entries []tree.Entry, control archive.Control, sink archive.Sink, o Options) (Result, error) {
	o = o.complete()
	encoder, err := archive.NewEncoder(o.Level, o.Workers)
	if err != nil {
		return Result{}, err
	}
	entries, needed := links(entries)
	if control.Delta {
		needed = nil // without a file in the delta, the base's older one would come back
	}
	units, larges := plan(entries, o.FrameBytes)
	defer func() {
		for _, l := range larges {
			l.close()
		}
	}()

	group, ctx := errgroup.WithContext(ctx)
	p := &pipeline{
		group: group, encoder: encoder, workers: o.Workers,
		ordered: make(chan *record, 2*o.Workers), work: make(chan *record), out: make(buffers, 3*o.Workers),
	}
	p.start(ctx, root, units, needed)
	c := newCollector(group, sink, o)
	var result Result
	group.Go(func() error { return p.collect(ctx, c, control, &result) })

	err = group.Wait()
	var changed *changedError
	switch {
	case errors.As(err, &changed):
		return Result{Dirty: changed.path}, nil
	case err != nil:
		return Result{}, err
	}
	for _, s := range c.segments {
		result.Segments = append(result.Segments, *s)
	}
	return result, nil
}
