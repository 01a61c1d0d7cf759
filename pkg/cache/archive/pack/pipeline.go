package pack

import (
	"context"
	"fmt"

	"golang.org/x/sync/errgroup"

	"github.com/runnerd/runnerd/pkg/cache/archive"
	"github.com/runnerd/runnerd/pkg/confine"
)

// A pipeline has workers make records of units. Each unit is queued twice: for
// the next worker that is free, and, in order, for the collector. The length of
// the second queue is what bounds the records in memory.
type pipeline struct {
	group   *errgroup.Group
	encoder *archive.Encoder
	workers int
	ordered chan *record
	work    chan *record
	out     buffers // of records
}

// start starts the workers, and what feeds them.
func (p *pipeline) start(ctx context.Context, root *confine.Root, units []unit, needed map[string]bool) {
	p.group.Go(func() error {
		defer close(p.ordered)
		defer close(p.work)
		for _, u := range units {
			r := &record{unit: u, ready: make(chan struct{})}
			for _, queue := range []chan *record{p.ordered, p.work} {
				select {
				case queue <- r:
				case <-ctx.Done():
					return context.Cause(ctx)
				}
			}
		}
		return nil
	})
	for range p.workers {
		p.group.Go(func() error {
			w := &worker{cursor: root.Cursor(), encoder: p.encoder, out: p.out, needed: needed}
			defer w.cursor.Close()
			for r := range p.work {
				if err := w.make(ctx, r); err != nil {
					return err
				}
			}
			return nil
		})
	}
}

// collect puts all records into c, between the first and the last one of a
// layer, and adds them up.
func (p *pipeline) collect(ctx context.Context, c *collector, control archive.Control, total *Result) error {
	control.Version = archive.Version
	first, err := control.Encode()
	if err != nil {
		return err
	}
	if len(first) > archive.MaxControl {
		return fmt.Errorf("%w: the list of %d whiteouts has more than %d bytes", ErrTooLarge, len(control.Whiteouts), archive.MaxControl)
	}
	if err := c.add(ctx, p.encoder.Append(nil, archive.Announce{Kind: archive.KindControl}, first), 0); err != nil {
		return err
	}
	for r := range p.ordered {
		select {
		case <-r.ready:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		total.Entries += r.packed
		total.Vanished += r.vanished
		if len(r.bytes) == 0 {
			continue
		}
		if err := c.add(ctx, r.bytes, r.raw); err != nil {
			return err
		}
		p.out.put(r.bytes)
	}
	if ctx.Err() != nil {
		return context.Cause(ctx) // the records have ended early
	}
	total.Raw = c.raw
	trailer := make([]byte, 2*blockBytes)
	end := archive.Announce{Kind: archive.KindEnd, Ordinal: uint32(c.records), Offset: uint64(c.raw)}
	if err := c.add(ctx, p.encoder.Append(nil, end, trailer), 0); err != nil {
		return err
	}
	c.store(ctx)
	return nil
}
