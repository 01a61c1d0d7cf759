package artifact

import (
	"io"
	"path"
	"strings"

	"github.com/klauspost/compress/gzip"

	"github.com/runnerd/runnerd/pkg/cache/archive/tree"
)

// gzip writes each file as one member: its name is in the header, its path in
// the comment. Folders have no place in there, nor have symlinks.
func (s *source) gzip(w io.Writer, entries []tree.Entry, level int) error {
	for _, e := range entries {
		switch e.Kind {
		case tree.Dir:
		case tree.Symlink:
			s.notes.add("left out: %q is a symlink, and an artifact of this type (gzip) is made of files", e.Path)
		case tree.File:
			if err := s.member(w, e, level); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *source) member(w io.Writer, e tree.Entry, level int) error {
	f, st, ok, err := s.open(e)
	if err != nil || !ok {
		return err
	}
	defer f.Close()
	z, err := gzip.NewWriterLevel(w, level)
	if err != nil {
		return err
	}
	z.Name, z.Comment, z.ModTime = latin1(path.Base(e.Path)), latin1(e.Path), modified(st)
	if err := s.copyTo(z, e.Path, f, st); err != nil {
		return err
	}
	return z.Close()
}

// latin1 replaces what a gzip header cannot hold.
func latin1(name string) string {
	return strings.Map(func(r rune) rune {
		if r == 0 || r > 0xff {
			return '_'
		}
		return r
	}, name)
}
