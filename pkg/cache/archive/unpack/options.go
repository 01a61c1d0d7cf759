package unpack

import (
	"errors"
	"runtime"

	"github.com/runnerd/runnerd/pkg/cache/archive"
)

// What is wrong with a layer, besides archive.ErrCorrupt.
var (
	// ErrUnsafe says that an entry must not be restored, whoever made it.
	ErrUnsafe = errors.New("unsafe entry")
	// ErrTooLarge says that a layer exceeds the limits of the Options.
	ErrTooLarge = errors.New("too large")
)

// A Layer is where the segments of a layer are, and what its head says of it.
type Layer struct {
	Source   archive.Source
	Segments []archive.Segment
	Raw      int64 // bytes in the records but Control and End
	Entries  int
}

// Options say how to restore, and what not. OptionsFor returns ones that can be
// used as they are.
//
// Gets + 1 segments, and Workers records with what decoding them needs, are in
// memory.
type Options struct {
	Workers int // that decode and write at the same time; at least 1
	Gets    int // segments on their way at the same time, of large ones fewer; at least 1

	// Declared are the patterns of the cache, relative to the root or below the
	// path that it was opened with. They matter for Refuse only.
	Declared []string
	// Refuse are paths that no entry may be at or below, in any case of letters,
	// unless the part of a Declared pattern before its first special character
	// leads there.
	Refuse []string

	UID, GID int // who gets what is made; -1: who we are

	MaxRaw     int64 // bytes in both layers together; 0: no limit
	MaxEntries int   // in both layers together; 0: no limit
}

// The limits of OptionsFor: four times the size that a cache may have in the
// store unless configured otherwise; and entries, of which each takes up to half a
// KiB of memory until the Record is made.
const (
	maxRaw      = 20 << 30
	maxEntries  = 5_000_000
	entryMemory = 1 << 10
)

// lowMemory is the limit below which a container gets the frugal options.
const lowMemory = 256 << 20

// OptionsFor returns options that suit a machine with that much memory, in
// bytes; 0 means that there is no limit. Half of it is for what is known of the
// entries: more of them are too large a cache, which is better than a container
// that is killed.
func OptionsFor(memory int64) Options {
	o := Options{
		Workers: min(runtime.GOMAXPROCS(0), 8), Gets: 6,
		Refuse: []string{".git"}, UID: -1, GID: -1, MaxRaw: maxRaw, MaxEntries: maxEntries,
	}
	if memory > 0 && memory < lowMemory {
		o.Workers, o.Gets = 1, 2
	}
	if memory > 0 {
		o.MaxEntries = int(min(memory/entryMemory, maxEntries))
	}
	return o
}

// What is on its way at the same time where there is memory: as many segments as
// make up for a slow connection, unless they are so large that fewer do.
const (
	inFlight = 64 << 20
	fewGets  = 4
)

// gets is how many of l's segments are on their way at the same time.
func (o Options) gets(l Layer) int {
	largest := int64(1)
	for _, s := range l.Segments {
		largest = max(largest, s.Bytes)
	}
	gets := max(int64(fewGets), inFlight/largest)
	return int(min(gets, int64(o.Gets), int64(len(l.Segments))))
}

// Stats are what a restore has done.
type Stats struct {
	Bytes      int64 // fetched
	Raw        int64 // of the tar streams, those of superseded entries included
	Entries    int   // that are there now
	Superseded int   // entries of the base that the delta hides
	Skipped    int   // devices and pipes, which no cache gets back
	Replaced   int   // files, symlinks and folders that had to make way

	// Left is a path below the root where something that had to make way still is,
	// because it could not be removed; nearly always empty.
	Left string
}
