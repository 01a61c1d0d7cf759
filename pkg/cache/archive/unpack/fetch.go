package unpack

import (
	"context"
	"crypto/sha256"
	"fmt"

	"github.com/runnerd/runnerd/pkg/cache/archive"
)

// maxSegment bounds a buffer: segments are 32 MiB, and a record more.
const maxSegment = 64 << 20

// fetch gets one segment after the other and hands out the records in them. A
// buffer is taken before a number: so the segment that all others may have to
// wait for always has one.
func (s *stream) fetch(ctx context.Context) error {
	for {
		var buf []byte
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case buf = <-s.free:
		}
		n := int(s.next.Add(1)) - 1
		if n >= len(s.layer.Segments) {
			s.free <- buf // for the others, which end here, too
			return nil
		}
		want := s.layer.Segments[n]
		if want.Bytes <= 0 || want.Bytes > maxSegment {
			return fmt.Errorf("segment %d: %w", n, corrupt("it has %d bytes", want.Bytes))
		}
		if int64(cap(buf)) < want.Bytes {
			buf = make([]byte, want.Bytes)
		}
		g := &segment{n: n, body: buf[:want.Bytes]}
		if err := s.get(ctx, g, want); err != nil {
			return fmt.Errorf("segment %d: %w", n, err)
		}
		if err := s.handOut(ctx, g); err != nil {
			return fmt.Errorf("segment %d: %w", n, err)
		}
	}
}

// get fills g. Bytes that are not those that were stored are fetched once more:
// they may have been damaged on the way.
func (s *stream) get(ctx context.Context, g *segment, want archive.Segment) error {
	for range 2 {
		if err := s.layer.Source.Get(ctx, g.n, g.body); err != nil {
			return err
		}
		if sha256.Sum256(g.body) == want.Sum {
			return nil
		}
	}
	return corrupt("its SHA-256 differs, twice")
}
