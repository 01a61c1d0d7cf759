package unpack

import (
	"context"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/runnerd/runnerd/pkg/cache/archive"
	"github.com/runnerd/runnerd/pkg/cache/archive/tree"
)

// A stream is one layer on its way: fetchers get its segments and hand out the
// records in them, workers make files of these, in whatever order they come.
type stream struct {
	*restore
	layer  Layer
	origin tree.Origin

	next atomic.Int64 // segment to be fetched
	free chan []byte  // buffers for segments
	work chan *record // for the workers
	seen atomic.Int64 // entries
	size atomic.Int64 // bytes of the large files
	raw  atomic.Int64 // bytes of the records, as announced
	kept atomic.Int64 // entries that are restored
	skip atomic.Int64 // devices and pipes
	over atomic.Int64 // entries that the delta hides

	order order
}

// A record is one piece of work.
type record struct {
	announce archive.Announce
	body     []byte
	segment  *segment
	large    *large // of a Head or Cont
}

// A segment's buffer is used again when all its records are done.
type segment struct {
	n    int
	body []byte
	left atomic.Int32 // records that are not done, and one for the fetcher
}

// layer unpacks one layer and returns its control record.
func (r *restore) layer(ctx context.Context, l Layer, origin tree.Origin) (archive.Control, error) {
	if len(l.Segments) == 0 {
		return archive.Control{}, corrupt("a layer without segments")
	}
	gets := r.options.gets(l)
	buffers := min(gets+1, len(l.Segments))
	s := &stream{restore: r, layer: l, origin: origin, free: make(chan []byte, buffers), work: make(chan *record), order: newOrder()}
	for range buffers {
		s.free <- nil
	}
	group, ctx := errgroup.WithContext(ctx)
	for _, w := range r.workers {
		group.Go(func() error { return w.run(ctx, s) })
	}
	var fetchers sync.WaitGroup
	for range gets {
		fetchers.Add(1)
		group.Go(func() error {
			defer fetchers.Done()
			return s.fetch(ctx)
		})
	}
	group.Go(func() error {
		fetchers.Wait()
		close(s.work)
		return nil
	})
	if err := group.Wait(); err != nil {
		return archive.Control{}, err
	}
	if err := s.complete(); err != nil {
		return archive.Control{}, err
	}
	r.stats.Raw += s.raw.Load()
	r.stats.Entries += int(s.kept.Load())
	r.stats.Skipped += int(s.skip.Load())
	r.stats.Superseded += int(s.over.Load())
	for _, segment := range l.Segments {
		r.stats.Bytes += segment.Bytes
	}
	return s.order.control, nil
}

// complete checks that the layer has ended as its End record says.
func (s *stream) complete() error {
	o := &s.order
	switch {
	case o.records != int64(o.end.Ordinal) || s.raw.Load() != int64(o.end.Offset):
		return corrupt("the layer has %d records of %d bytes, and its end says %d of %d", o.records, s.raw.Load(), o.end.Ordinal, int64(o.end.Offset))
	case s.raw.Load() != s.layer.Raw || s.seen.Load() != int64(s.layer.Entries):
		return corrupt("the layer has %d entries in %d bytes, and its head says %d in %d", s.seen.Load(), s.raw.Load(), s.layer.Entries, s.layer.Raw)
	}
	for _, l := range o.larges {
		if !l.complete() {
			return corrupt("%q is not complete", l.name)
		}
	}
	return nil
}

// release is called when a record is done, and when all of a segment's have been
// handed out.
func (s *stream) release(g *segment) {
	if g.left.Add(-1) == 0 {
		s.free <- g.body[:0]
	}
}
