package pack

import (
	"math"

	"github.com/runnerd/runnerd/pkg/cache/archive"
)

// Options are a layer's sizes and limits. Each zero value means what stands
// with it.
//
// At most Workers × 4 frames, and what the encoders need (about 8 MiB each), and
// Uploads segments are in memory.
type Options struct {
	Workers      int               // that read and compress at the same time; 1
	Uploads      int               // segments in memory, and being stored; 1
	FrameBytes   int               // raw bytes of a record, about: whole leaves, 8 MiB at most; archive.FrameBytes
	Level        archive.Level     // archive.Fastest
	SegmentBytes func(n int) int64 // at which size segment n is full; 8 MiB
	MaxSegments  int               // no limit
	MaxBytes     int64             // of all segments; no limit
}

// lowMemory is the limit below which a container gets the frugal options.
const lowMemory = 256 << 20

// OptionsFor returns options that suit a machine: memory in bytes, of which 0
// means that there is no limit, and cpus as GOMAXPROCS has them. Level,
// SegmentBytes and the limits are left to the caller.
func OptionsFor(memory int64, cpus int) Options {
	if memory > 0 && memory < lowMemory {
		return Options{Workers: 1, Uploads: 2, FrameBytes: 2 << 20}
	}
	o := Options{Workers: min(max(cpus, 1), 8), Uploads: 4, FrameBytes: archive.FrameBytes}
	if o.Workers >= 4 {
		o.Uploads = 6
	}
	return o
}

// complete returns o with its zero values filled in and its sizes within the
// format's limits.
func (o Options) complete() Options {
	o.Workers, o.Uploads = max(o.Workers, 1), max(o.Uploads, 1)
	if o.FrameBytes == 0 {
		o.FrameBytes = archive.FrameBytes
	}
	// A record is a frame and a header. Pieces of files end with a leaf.
	o.FrameBytes = min(max(o.FrameBytes, archive.LeafBytes), archive.MaxRaw/2)
	o.FrameBytes -= o.FrameBytes % archive.LeafBytes
	if o.SegmentBytes == nil {
		o.SegmentBytes = func(int) int64 { return 8 << 20 }
	}
	if o.MaxSegments == 0 {
		o.MaxSegments = math.MaxInt
	}
	if o.MaxBytes == 0 {
		o.MaxBytes = math.MaxInt64
	}
	return o
}
