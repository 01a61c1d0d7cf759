package unpack

import (
	"context"
	"fmt"
	"sync"

	"github.com/runnerd/runnerd/pkg/cache/archive"
	"github.com/runnerd/runnerd/pkg/cache/archive/tree"
)

// An order is what is known of a layer's records when they are handed out, and
// what of it must hold.
type order struct {
	mu      sync.Mutex
	records int64 // before End
	control archive.Control
	end     archive.Announce

	// The segments that have been read up to the first one that has not.
	done   map[int]bool
	prefix int

	// A Cont is handed out when its Head has been: then a worker has that, or the
	// Cont would not be taken. So a worker may wait for a Head that another one has.
	larges  map[uint32]*large
	orphans map[uint32][]*record // Cont records, by number, whose Head is in a segment that has not been read
	parked  map[int]int          // how many of them are in which segment
}

// maxRecords bounds what the records of a segment take in memory. Of the smallest
// ones, zeros in frames of 2 MiB, it has room for more than 100 GiB.
const maxRecords = 1 << 16

func newOrder() order {
	return order{done: map[int]bool{}, larges: map[uint32]*large{}, orphans: map[uint32][]*record{}, parked: map[int]int{}}
}

// handOut gives g's records to the workers. It may wait for them.
func (s *stream) handOut(ctx context.Context, g *segment) error {
	records, err := s.split(g)
	if err != nil {
		return err
	}
	g.left.Store(int32(len(records)) + 1)
	defer s.release(g)
	for _, r := range records {
		if err := s.handOutOne(ctx, r); err != nil {
			return err
		}
	}
	return s.order.read(g.n)
}

// split cuts g into records, and checks what needs no other record.
func (s *stream) split(g *segment) (records []*record, err error) {
	rest := g.body
	for i := 0; len(rest) > 0; i++ {
		if i == maxRecords {
			return nil, corrupt("more than %d records", maxRecords)
		}
		r := &record{segment: g}
		if r.announce, r.body, rest, err = archive.Next(rest); err != nil {
			return nil, err
		}
		first := g.n == 0 && i == 0
		last := g.n == len(s.layer.Segments)-1 && len(rest) == 0
		switch kind := r.announce.Kind; {
		case first != (kind == archive.KindControl), last != (kind == archive.KindEnd):
			return nil, corrupt("record %d is a %v record", i, kind)
		case first:
			err = s.readControl(r)
		case last:
			err = s.readEnd(r)
		default:
			// Before anything is decoded, and much before anything is written.
			if s.raw.Add(int64(r.announce.Raw)) > s.layer.Raw {
				return nil, corrupt("the layer has more than the %d bytes that its head says", s.layer.Raw)
			}
			records = append(records, r)
		}
		if err != nil {
			return nil, err
		}
	}
	s.order.mu.Lock()
	defer s.order.mu.Unlock()
	s.order.records += int64(len(records))
	return records, nil
}

func (s *stream) readControl(r *record) error {
	raw, err := s.decoder.Decode(nil, r.announce, r.body)
	if err != nil {
		return err
	}
	control, err := archive.DecodeControl(raw)
	switch {
	case err != nil:
		return err
	case control.Delta != (s.origin == tree.FromDelta):
		return corrupt("it is a base in the place of a delta, or the other way round")
	case s.options.MaxEntries > 0 && len(control.Whiteouts) > s.options.MaxEntries:
		return fmt.Errorf("%w: %d whiteouts, more than %d", ErrTooLarge, len(control.Whiteouts), s.options.MaxEntries)
	}
	s.order.mu.Lock()
	defer s.order.mu.Unlock()
	s.order.control = control
	s.order.records++
	return nil
}

// readEnd checks that nothing but the trailer of tar is at the end.
func (s *stream) readEnd(r *record) error {
	raw, err := s.decoder.Decode(nil, r.announce, r.body)
	if err != nil {
		return err
	}
	if !allZero(raw) {
		return corrupt("the end has content")
	}
	s.order.mu.Lock()
	defer s.order.mu.Unlock()
	s.order.end = r.announce
	return nil
}

func (s *stream) handOutOne(ctx context.Context, r *record) error {
	switch r.announce.Kind {
	case archive.KindHead:
		return s.handOutHead(ctx, r)
	case archive.KindCont:
		if !s.order.knowsHead(r) {
			return nil
		}
	}
	return s.send(ctx, r)
}

// handOutHead hands out a Head, and then the pieces that have been waiting for it.
func (s *stream) handOutHead(ctx context.Context, r *record) error {
	o := &s.order
	r.large = &large{ready: make(chan struct{})}
	if err := s.send(ctx, r); err != nil {
		return err
	}
	o.mu.Lock()
	if o.larges[r.announce.Ordinal] != nil {
		o.mu.Unlock()
		return corrupt("two large files have the number %d", r.announce.Ordinal)
	}
	o.larges[r.announce.Ordinal] = r.large
	waiting := o.orphans[r.announce.Ordinal]
	delete(o.orphans, r.announce.Ordinal)
	for _, c := range waiting {
		c.large = r.large
		o.parked[c.segment.n]--
	}
	o.mu.Unlock()
	for _, c := range waiting {
		if err := s.send(ctx, c); err != nil {
			return err
		}
	}
	return nil
}

// knowsHead says whether the Cont r can be handed out. If not, that is up to who
// hands out its Head.
func (o *order) knowsHead(r *record) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	r.large = o.larges[r.announce.Ordinal]
	if r.large == nil {
		o.orphans[r.announce.Ordinal] = append(o.orphans[r.announce.Ordinal], r)
		o.parked[r.segment.n]++
	}
	return r.large != nil
}

// read takes note that all records of segment n have been handed out. A Cont
// comes after its Head: so where all segments up to its own have been read, it
// has none, and would keep its segment's buffer for ever.
func (o *order) read(n int) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.done[n] = true
	for ; o.done[o.prefix]; o.prefix++ {
		if o.parked[o.prefix] > 0 {
			return corrupt("segment %d has a piece of a large file without a head", o.prefix)
		}
		delete(o.done, o.prefix)
		delete(o.parked, o.prefix)
	}
	return nil
}

// send gives r to a worker.
func (s *stream) send(ctx context.Context, r *record) error {
	select {
	case s.work <- r:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
