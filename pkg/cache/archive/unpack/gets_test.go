package unpack

import (
	"testing"

	"github.com/runnerd/runnerd/pkg/cache/archive"
)

// Small segments make up for a slow connection; of large ones fewer are in
// memory at once.
func TestGets(t *testing.T) {
	const mib = 1 << 20
	tests := []struct {
		bytes       int64
		count, want int
	}{
		{8 * mib, 100, 6}, {8 * mib, 3, 3}, {12 * mib, 100, 5}, {16 * mib, 200, 4}, {32 * mib, 300, 4}, {36 * mib, 300, 4}, {1, 1, 1},
	}
	for _, tt := range tests {
		var l Layer
		for range tt.count {
			l.Segments = append(l.Segments, archive.Segment{Bytes: tt.bytes})
		}
		if got := (Options{Gets: 6}).gets(l); got != tt.want {
			t.Errorf("%d segments of %d bytes: %d at once, want %d", tt.count, tt.bytes, got, tt.want)
		}
		if got := (Options{Gets: 2}).gets(l); got > 2 {
			t.Errorf("%d segments of %d bytes, at most 2 at once: %d", tt.count, tt.bytes, got)
		}
	}
}
