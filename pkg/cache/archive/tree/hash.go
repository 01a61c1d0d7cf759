package tree

import (
	"context"

	"github.com/runnerd/runnerd/pkg/cache/archive"
	"github.com/runnerd/runnerd/pkg/confine"
)

// A hasher reads files for their sums. It has a buffer for one leaf.
type hasher struct {
	buf    []byte
	leaves []byte
}

// sum returns the sum of the file at path if it has size bytes; ok is false if
// it has not, or cannot be read, or ctx is done.
func (h *hasher) sum(ctx context.Context, cursor *confine.Cursor, path string, size int64) (sum archive.Sum, ok bool) {
	file, st, err := cursor.Open(path)
	if err != nil {
		return sum, false
	}
	defer file.Close()
	if st.Size != size {
		return sum, false
	}
	if h.buf == nil {
		h.buf = make([]byte, archive.LeafBytes)
	}
	if size <= archive.LeafBytes {
		content := h.buf[:size]
		if _, err := file.ReadAt(content, 0); err != nil {
			return sum, false
		}
		return archive.SumOf(content), true
	}
	h.leaves = h.leaves[:0]
	for offset := int64(0); offset < size; offset += archive.LeafBytes {
		leaf := h.buf[:min(size-offset, archive.LeafBytes)]
		if _, err := file.ReadAt(leaf, offset); err != nil || ctx.Err() != nil {
			return sum, false
		}
		h.leaves = archive.AppendLeaves(h.leaves, leaf)
	}
	return archive.SumOfLeaves(h.leaves), true
}
