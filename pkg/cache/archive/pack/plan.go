package pack

import (
	"github.com/runnerd/runnerd/pkg/cache/archive"
	"github.com/runnerd/runnerd/pkg/cache/archive/tree"
)

// A unit is what one record will hold: whole entries, or a piece of a large file.
type unit struct {
	entries []tree.Entry

	large  *large // nil: entries
	offset int64  // of the piece in the file
	size   int64  // of the piece, without header and padding
}

// plan cuts entries into units of frameBytes raw bytes at most; where a file has
// as much by itself, its header comes on top.
func plan(entries []tree.Entry, frameBytes int) (units []unit, larges []*large) {
	limit := int64(frameBytes)
	start, raw := 0, int64(0)
	closeAt := func(end int) {
		if end > start {
			units = append(units, unit{entries: entries[start:end]})
		}
		start, raw = end, 0
	}
	for i := range entries {
		e := &entries[i]
		content := contentBytes(e)
		if content > limit {
			closeAt(i)
			l := &large{entry: e, ordinal: uint32(len(larges))}
			larges = append(larges, l)
			for offset := int64(0); offset < content; offset += limit {
				units = append(units, unit{large: l, offset: offset, size: min(limit, content-offset)})
				l.left.Add(1)
			}
			start = i + 1
			continue
		}
		need := headerEstimate(e) + content + padding(content)
		if raw+need > limit {
			closeAt(i)
		}
		raw += need
	}
	closeAt(len(entries))
	return units, larges
}

// contentBytes is how many bytes follow e's header.
func contentBytes(e *tree.Entry) int64 {
	if e.Kind != tree.File || e.Link != "" {
		return 0
	}
	return e.Size
}

// kind says what record the unit becomes.
func (u *unit) kind() archive.Kind {
	switch {
	case u.large == nil:
		return archive.KindEntries
	case u.offset == 0:
		return archive.KindHead
	}
	return archive.KindCont
}

// last says whether the unit is the last piece of its large file.
func (u *unit) last() bool { return u.offset+u.size == u.large.entry.Size }
