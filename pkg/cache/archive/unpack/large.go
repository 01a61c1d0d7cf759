package unpack

import (
	"context"
	"sync"

	"github.com/runnerd/runnerd/pkg/cache/archive"
	"github.com/runnerd/runnerd/pkg/cache/archive/tree"
	"github.com/runnerd/runnerd/pkg/confine"
)

// A large is a file that comes in pieces, which several workers write through
// one handle.
type large struct {
	ready chan struct{} // closed when the Head is done; before that nobody but its worker uses the rest
	header
	hidden bool // the delta hides it: its pieces are not written
	file   confine.File
	open   bool // file is to be closed
	known  tree.Known
	leaves []byte // their sums

	mu      sync.Mutex
	written []bool // by leaf
	left    int    // leaves that are not written
}

const (
	// maxOpen bounds the large files that are begun and not complete. With whole
	// pieces in order there are hardly more than workers.
	maxOpen = 256
	// sparseBytes of zeros, at a multiple of as many, become a hole.
	sparseBytes = 64 << 10
)

// head begins the large file l.
func (w *worker) head(s *stream, l *large, raw []byte) error {
	h, rest, err := parseHeader(raw)
	switch {
	case err != nil:
		return err
	case h.kind != kindFile || h.size == 0:
		return corrupt("%.200q is not a large file", h.name)
	case h.size > s.layer.Raw || s.size.Add(h.size) > s.layer.Raw:
		return corrupt("%.200q of %d bytes is larger than its layer", h.name, h.size)
	}
	use, err := w.admit(s, &h)
	if err != nil {
		return err
	}
	l.hidden = !use
	leaves := (h.size + archive.LeafBytes - 1) / archive.LeafBytes
	l.written, l.left = make([]bool, leaves), int(leaves)
	if use {
		if err := w.begin(l, h, int(leaves), s.origin); err != nil {
			return err
		}
	}
	l.header = h
	return w.write(l, 0, rest)
}

// begin makes the file of l.
func (w *worker) begin(l *large, h header, leaves int, origin tree.Origin) error {
	if w.opened.Add(1) > maxOpen {
		return corrupt("pieces of more than %d files are mixed", maxOpen)
	}
	if err := w.claim(h.name); err != nil {
		return err
	}
	f, err := w.create(h.name, h.perm)
	if err != nil {
		return err
	}
	l.file, l.open = f, true
	l.known = tree.Known{Entry: tree.Entry{Path: h.name}, Origin: origin}
	l.leaves = make([]byte, leaves*len(archive.Sum{}))
	w.larges = append(w.larges, l)
	return failed("truncate", h.name, f.Truncate(h.size))
}

// piece writes a later piece of l.
func (w *worker) piece(ctx context.Context, l *large, offset uint64, raw []byte) error {
	select {
	case <-l.ready: // another worker has its head
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if offset >= uint64(l.size) {
		return corrupt("%.200q of %d bytes has a piece at %d", l.name, l.size, offset)
	}
	return w.write(l, int64(offset), raw)
}

// write writes the piece at offset, which is within the file, and completes the
// file if nothing else is missing.
func (w *worker) write(l *large, offset int64, raw []byte) error {
	content := raw[:min(int64(len(raw)), l.size-offset)]
	pad := int64(len(raw) - len(content))
	ends := offset+int64(len(content)) == l.size
	switch {
	case offset%archive.LeafBytes != 0, !ends && len(content)%archive.LeafBytes != 0, len(content) == 0:
		return corrupt("%.200q has a piece of %d bytes at %d", l.name, len(content), offset)
	case ends && pad != padding(l.size):
		return corrupt("%.200q has %d bytes behind it", l.name, pad)
	}
	first := int(offset / archive.LeafBytes)
	if err := l.take(first, len(content)); err != nil {
		return err
	}
	if !l.hidden {
		at := first * len(archive.Sum{})
		archive.AppendLeaves(l.leaves[at:at], content)
		if err := writeSparse(l.file, offset, content); err != nil {
			return failed("write", l.name, err)
		}
	}
	if !l.put(len(content)) || l.hidden {
		return nil
	}
	return w.finishLarge(l)
}

// take reserves the leaves of a piece for who writes it.
func (l *large) take(first, size int) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := first; size > 0; i, size = i+1, size-archive.LeafBytes {
		if l.written[i] {
			return corrupt("%.200q has two pieces for the same place", l.name)
		}
		l.written[i] = true
	}
	return nil
}

// put takes note that a piece is written, and says whether it was the last.
func (l *large) put(size int) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.left -= (size + archive.LeafBytes - 1) / archive.LeafBytes
	return l.left == 0
}

func (l *large) complete() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.size > 0 && l.left == 0
}

func (w *worker) finishLarge(l *large) error {
	l.known.Sum = archive.Sum(l.leaves[:len(archive.Sum{})])
	if len(l.leaves) > len(archive.Sum{}) {
		l.known.Sum = archive.SumOfLeaves(l.leaves)
	}
	l.leaves = nil
	err := w.finishFile(l.file, l.header, &l.known)
	if closed := l.close(); err == nil {
		err = closed
	}
	w.opened.Add(-1)
	return failed("write", l.name, err)
}

func (l *large) close() error {
	if !l.open {
		return nil
	}
	l.open = false
	return l.file.Close()
}

// writeSparse writes content but for its runs of zeros: the file has its size,
// so that it has zeros where nothing is written.
func writeSparse(f confine.File, offset int64, content []byte) error {
	start := 0 // of what is to be written
	for at := 0; at < len(content); at += sparseBytes {
		end := min(at+sparseBytes, len(content))
		if !allZero(content[at:end]) {
			continue
		}
		if err := writeAt(f, offset, content, start, at); err != nil {
			return err
		}
		start = end
	}
	return writeAt(f, offset, content, start, len(content))
}

func writeAt(f confine.File, offset int64, content []byte, start, end int) error {
	if start == end {
		return nil
	}
	_, err := f.WriteAt(content[start:end], offset+int64(start))
	return err
}
