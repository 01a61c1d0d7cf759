package pack

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"

	"golang.org/x/sync/errgroup"

	"github.com/runnerd/runnerd/pkg/cache/archive"
)

// ErrTooLarge says that a layer exceeds its limits.
var ErrTooLarge = errors.New("too large")

// A collector puts records into segments, in the order in which it gets them,
// and stores these.
type collector struct {
	sink    archive.Sink
	o       Options
	uploads *errgroup.Group // in which each Put runs
	free    chan []byte     // segments that are not in use

	segment  []byte
	segments []*archive.Segment // those that are being stored, and have been
	bytes    int64              // in all records
	records  int
	raw      int64 // in all records but Control
}

func newCollector(uploads *errgroup.Group, sink archive.Sink, o Options) *collector {
	c := &collector{sink: sink, o: o, uploads: uploads, free: make(chan []byte, o.Uploads)}
	for range o.Uploads {
		c.free <- nil
	}
	return c
}

// add puts a record into the layer. The bytes are copied.
func (c *collector) add(ctx context.Context, record []byte, raw int) error {
	if c.bytes += int64(len(record)); c.bytes > c.o.MaxBytes {
		return fmt.Errorf("%w: more than %d bytes, compressed", ErrTooLarge, c.o.MaxBytes)
	}
	if len(c.segment) > 0 && int64(len(c.segment)+len(record)) > c.o.SegmentBytes(len(c.segments)) {
		c.store(ctx)
	}
	if len(c.segment) == 0 {
		if err := c.begin(ctx, len(record)); err != nil {
			return err
		}
	}
	c.segment = append(c.segment, record...)
	c.records++
	c.raw += int64(raw)
	return nil
}

// begin takes a buffer for the next segment, in which a record of the given size
// has room.
func (c *collector) begin(ctx context.Context, record int) error {
	n := len(c.segments)
	if n == c.o.MaxSegments {
		return fmt.Errorf("%w: more than %d segments", ErrTooLarge, n)
	}
	select {
	case c.segment = <-c.free:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if size := max(int(c.o.SegmentBytes(n)), record); cap(c.segment) < size {
		c.segment = make([]byte, 0, size)
	}
	return nil
}

// store begins to store the segment.
func (c *collector) store(ctx context.Context) {
	n, body, segment := len(c.segments), c.segment, &archive.Segment{Bytes: int64(len(c.segment))}
	c.segments, c.segment = append(c.segments, segment), nil
	c.uploads.Go(func() error {
		segment.Sum = sha256.Sum256(body)
		err := c.sink.Put(ctx, n, body, segment.Sum)
		c.free <- body[:0]
		return err
	})
}
