package tree

import (
	"slices"
	"strings"

	"github.com/runnerd/runnerd/pkg/cache/archive"
)

// Totals are the size of a layer or of a part of one.
type Totals struct {
	Raw     int64 // bytes of the tar stream
	Entries int
}

func (t *Totals) add(raw int64) {
	t.Raw += raw
	t.Entries++
}

// A Hidden is an entry of the base that was not restored, because the delta has
// its path, or whites it or a folder above it out.
type Hidden struct {
	Path string
	Size int64 // bytes of content
}

// Restored is what a restore has done.
type Restored struct {
	Known  [][]Known // what it has written, in any order; each path once
	Hidden []Hidden
	Base   Totals // of the whole base
}

// A Record is what is known of the entries of one restored cache. It takes about
// 60 bytes for each. It is not safe for concurrent use.
type Record struct {
	base   Totals
	chunks []chunk

	// exact says that an entry whose stat is as recorded has not been changed.
	exact bool
}

// maxRecorded bounds a Record's memory.
const maxRecorded = 2_000_000

// NewRecord keeps what is needed of r to find changes later. It returns nil if r
// has more than two million entries: then only a full push is possible. Without
// a Settle the Record trusts no file's times: all contents are compared.
func NewRecord(r Restored) *Record {
	total := len(r.Hidden)
	for _, list := range r.Known {
		total += len(list)
	}
	if total > maxRecorded {
		return nil
	}
	known := make([]*Known, 0, total)
	for _, list := range r.Known {
		for i := range list {
			known = append(known, &list[i])
		}
	}
	slices.SortStableFunc(known, func(a, b *Known) int { return strings.Compare(a.Path, b.Path) })
	known = slices.CompactFunc(known, func(a, b *Known) bool { return a.Path == b.Path })
	hidden := slices.Clone(r.Hidden)
	slices.SortStableFunc(hidden, func(a, b Hidden) int { return strings.Compare(a.Path, b.Path) })
	hidden = slices.CompactFunc(hidden, func(a, b Hidden) bool { return a.Path == b.Path })
	record := &Record{base: r.Base}
	record.fill(known, hidden)
	return record
}

// fill merges both sorted lists.
func (r *Record) fill(known []*Known, hidden []Hidden) {
	var w chunkWriter
	for len(known)+len(hidden) > 0 {
		var k kept
		wasWritten := len(known) > 0 && (len(hidden) == 0 || known[0].Path <= hidden[0].Path)
		wasHidden := len(hidden) > 0 && (len(known) == 0 || hidden[0].Path <= known[0].Path)
		if wasWritten {
			k.Known = *known[0]
			known = known[1:]
		}
		if wasHidden {
			k.Path, k.hides, k.hidden = hidden[0].Path, true, hidden[0].Size
			hidden = hidden[1:]
		}
		w.add(&k)
		if w.n == chunkEntries {
			r.chunks = append(r.chunks, w.take())
		}
	}
	if w.n > 0 {
		r.chunks = append(r.chunks, w.take())
	}
}

// A kept is one entry of a Record. Its Kind is 0 if there was nothing restored
// at its path.
type kept struct {
	Known
	hides  bool  // the base has an entry at this path that was not restored,
	hidden int64 // with that many bytes
}

// inBase says whether the base has an entry at k's path, and its raw bytes.
func (k *kept) inBase() (raw int64, ok bool) {
	switch {
	case k.hides:
		return rawBytes(k.hidden), true
	case k.Kind != 0 && k.Origin == FromBase:
		return k.raw(), true
	}
	return 0, false
}

// raw is about what the entry takes in a tar stream.
func (e *Entry) raw() int64 {
	if e.Kind != File || e.Link != "" {
		return rawBytes(0)
	}
	return rawBytes(e.Size)
}

// rawBytes adds the headers (an extended one, its content, the plain one) and the
// padding.
func rawBytes(content int64) int64 {
	const block = 512
	return 3*block + (content+block-1)/block*block
}

// known says whether s is the sum of anything.
func known(s archive.Sum) bool { return s != archive.Sum{} }
