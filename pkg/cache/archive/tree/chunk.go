package tree

import (
	"bytes"
	"encoding/binary"

	"github.com/runnerd/runnerd/pkg/cache/archive"
)

// A chunk holds some neighbours of a Record's entries as bytes: a helper keeps
// them in memory for as long as the job's script runs.
type chunk struct {
	data []byte
	n    int // entries
}

// chunkEntries is how many a chunk has: it is the piece of work of one goroutine.
const chunkEntries = 2048

// What an entry has, as its first byte says. Kind and Origin are below, two bits
// each.
const (
	hasSum = 1 << (iota + 4)
	hasTarget
	hasLink
	hasHidden
)

// A chunkWriter makes chunks of entries in sorted order. A path is written
// without what it has in common with the one before.
type chunkWriter struct {
	chunk
	last string
}

func (w *chunkWriter) take() chunk {
	full := chunk{data: bytes.Clone(w.data), n: w.n}
	*w = chunkWriter{chunk: chunk{data: w.data[:0]}}
	return full
}

func (w *chunkWriter) add(k *kept) {
	flags := byte(k.Kind) | byte(k.Origin)<<2 |
		flag(hasSum, known(k.Sum)) | flag(hasTarget, k.Target != "") | flag(hasLink, k.Link != "") | flag(hasHidden, k.hides)
	shared := 0
	for shared < min(len(w.last), len(k.Path)) && w.last[shared] == k.Path[shared] {
		shared++
	}
	w.last = k.Path
	w.n++
	b := append(w.data, flags)
	b = binary.AppendUvarint(b, uint64(shared))
	b = appendText(b, k.Path[shared:])
	b = binary.AppendUvarint(b, uint64(k.Perm))
	b = binary.AppendUvarint(b, uint64(k.Size))
	b = binary.AppendUvarint(b, k.Inode)
	b = binary.LittleEndian.AppendUint64(b, uint64(k.MTime))
	b = binary.LittleEndian.AppendUint64(b, uint64(k.CTime))
	if flags&hasSum != 0 {
		b = append(b, k.Sum[:]...)
	}
	if flags&hasTarget != 0 {
		b = appendText(b, k.Target)
	}
	if flags&hasLink != 0 {
		b = appendText(b, k.Link)
	}
	if flags&hasHidden != 0 {
		b = binary.AppendUvarint(b, uint64(k.hidden))
	}
	w.data = b
}

func flag(bit byte, set bool) byte {
	if set {
		return bit
	}
	return 0
}

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// all calls yield with each entry of c, in order; it is yield's to keep.
func (c chunk) all(yield func(kept) bool) {
	r := chunkReader(c.data)
	last := ""
	for range c.n {
		var k kept
		flags := r.take(1)[0]
		k.Kind, k.Origin = Kind(flags&3), Origin(flags>>2&3)
		k.Path = last[:r.number()] + r.text()
		k.Perm, k.Size, k.Inode = uint16(r.number()), int64(r.number()), r.number()
		k.MTime = int64(binary.LittleEndian.Uint64(r.take(8)))
		k.CTime = int64(binary.LittleEndian.Uint64(r.take(8)))
		if flags&hasSum != 0 {
			k.Sum = archive.Sum(r.take(16))
		}
		if flags&hasTarget != 0 {
			k.Target = r.text()
		}
		if flags&hasLink != 0 {
			k.Link = r.text()
		}
		if flags&hasHidden != 0 {
			k.hides, k.hidden = true, int64(r.number())
		}
		last = k.Path
		if !yield(k) {
			return
		}
	}
}

// A chunkReader reads what a chunkWriter has written, and nothing else.
type chunkReader []byte

func (r *chunkReader) take(n int) []byte {
	head := (*r)[:n]
	*r = (*r)[n:]
	return head
}

func (r *chunkReader) number() uint64 {
	v, n := binary.Uvarint(*r)
	*r = (*r)[n:]
	return v
}

func (r *chunkReader) text() string { return string(r.take(int(r.number()))) }

// all calls yield with each entry of r, in the order of their paths.
func (r *Record) all(yield func(kept) bool) {
	for _, c := range r.chunks {
		for k := range c.all {
			if !yield(k) {
				return
			}
		}
	}
}
