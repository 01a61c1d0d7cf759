package unpack

import (
	"context"
	"fmt"

	"github.com/runnerd/runnerd/pkg/cache/archive"
	"github.com/runnerd/runnerd/pkg/cache/archive/tree"
	"github.com/runnerd/runnerd/pkg/confine"
)

// A worker decodes records and writes the files in them. What it has made is in
// its lists, for the record and for undoing it.
type worker struct {
	*restore
	cursor *confine.Cursor
	umask  uint32  // bits that a new file did not get
	cover  coverer // of the layer that is unpacked
	folder string  // that the last entry is in: claimed, and there
	raw    []byte  // of a record; used again for each

	made    []string     // folders
	known   []tree.Known // files
	larges  []*large     // files whose head it had
	folders []folderEntry
	links   []linkEntry
	hidden  []tree.Hidden
}

// A folderEntry is a folder whose attributes are set when all is in it.
type folderEntry struct {
	path   string
	perm   uint32
	mtime  int64
	origin tree.Origin
}

// A linkEntry is a symlink or hard link, made when all files are there.
type linkEntry struct {
	header
	origin tree.Origin
}

func (w *worker) run(ctx context.Context, s *stream) error {
	w.cover = coverer{cover: w.restore.cover}
	for r := range s.work {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err := w.unpack(ctx, s, r); err != nil {
			return err
		}
		s.release(r.segment)
	}
	return nil
}

func (w *worker) unpack(ctx context.Context, s *stream, r *record) error {
	raw, err := s.decoder.Decode(w.raw, r.announce, r.body)
	if err != nil {
		return fmt.Errorf("segment %d: %w", r.segment.n, err)
	}
	w.raw = raw
	switch r.announce.Kind {
	case archive.KindHead:
		if err := w.head(s, r.large, raw); err != nil {
			return err // whoever waits for it hears of that through ctx
		}
		close(r.large.ready)
		return nil
	case archive.KindCont:
		return w.piece(ctx, r.large, r.announce.Offset, raw)
	default:
		return w.entries(ctx, s, raw)
	}
}

// entries unpacks a record of whole entries.
func (w *worker) entries(ctx context.Context, s *stream, raw []byte) error {
	for len(raw) > 0 {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		h, rest, err := parseHeader(raw)
		if err != nil {
			return err
		}
		if h.size > int64(len(rest)) || h.size+padding(h.size) > int64(len(rest)) {
			return corrupt("%.200q has %d bytes, and its record ends before", h.name, h.size)
		}
		raw = rest[h.size+padding(h.size):]
		if err := w.entry(s, h, rest[:h.size]); err != nil {
			return err
		}
	}
	return nil
}

// entry unpacks one entry, as far as it can be now.
func (w *worker) entry(s *stream, h header, content []byte) error {
	use, err := w.admit(s, &h)
	if err != nil || !use {
		return err
	}
	if h.kind == kindFolder {
		return w.dir(s, h)
	}
	if err := w.claim(h.name); err != nil {
		return err
	}
	switch h.kind {
	case kindSymlink:
		if h.link == "" || len(h.link) >= confine.MaxPath {
			return fmt.Errorf("%w: symlink %.200q to a path of %d bytes", ErrUnsafe, h.name, len(h.link))
		}
		w.links = append(w.links, linkEntry{header: h, origin: s.origin})
		return nil
	case kindLink:
		if err := w.rules.check(h.link, false); err != nil {
			return fmt.Errorf("hard link %.200q: %w", h.name, err)
		}
		w.links = append(w.links, linkEntry{header: h, origin: s.origin})
		return nil
	}
	return w.file(h, content, s.origin)
}

// admit says whether an entry is to be restored. It takes the slash off a
// folder's name.
func (w *worker) admit(s *stream, h *header) (bool, error) {
	if s.seen.Add(1) > int64(s.layer.Entries) {
		return false, corrupt("the layer has more than the %d entries that its head says", s.layer.Entries)
	}
	switch h.kind {
	case kindChar, kindBlock, kindPipe:
		s.skip.Add(1)
		return false, nil
	case kindFolder:
		if n := len(h.name); n > 0 && h.name[n-1] == '/' {
			h.name = h.name[:n-1]
		}
	}
	if err := w.rules.check(h.name, h.kind == kindFolder); err != nil {
		return false, err
	}
	if w.cover.hides(h.name) {
		s.over.Add(1)
		w.hidden = append(w.hidden, tree.Hidden{Path: h.name, Size: h.size})
		return false, nil
	}
	s.kept.Add(1)
	return true, nil
}

// claim makes sure that name, which is not a folder, belongs to this entry, and
// that there is a folder for it.
func (w *worker) claim(name string) error {
	if err := w.claims.leaf(name); err != nil {
		return err
	}
	return w.enter(parentOf(name))
}
