package artifact

import (
	"archive/zip"
	"context"
	"io"
	"io/fs"
	"time"

	"github.com/klauspost/compress/flate"

	"github.com/runnerd/runnerd/pkg/cache/archive/tree"
)

// zip writes an archive whose sizes stand behind the files, so that it can be
// sent while it is made.
func (s *source) zip(w io.Writer, entries []tree.Entry, level int) error {
	z := zip.NewWriter(w)
	var deflate *flate.Writer // for one file after the other
	z.RegisterCompressor(zip.Deflate, func(w io.Writer) (io.WriteCloser, error) {
		if deflate != nil {
			deflate.Reset(w)
			return deflate, nil
		}
		var err error
		deflate, err = flate.NewWriter(w, level)
		return deflate, err
	})
	for _, e := range entries {
		if s.ctx.Err() != nil {
			return context.Cause(s.ctx)
		}
		if s.provenance != nil && s.provenance.inTheWay(e.Path) {
			s.notes.add("left out: %q is where the provenance statement has to be", e.Path)
			continue
		}
		if err := s.zipEntry(z, e); err != nil {
			return err
		}
	}
	if s.provenance != nil {
		if err := s.state(z); err != nil {
			return err
		}
	}
	return z.Close()
}

func (s *source) zipEntry(z *zip.Writer, e tree.Entry) error {
	header := &zip.FileHeader{Name: e.Path, Modified: time.Unix(0, e.MTime)}
	switch e.Kind {
	case tree.Dir:
		header.Name += "/"
		header.SetMode(fs.ModeDir | fs.FileMode(e.Perm))
		_, err := z.CreateHeader(header)
		return err
	case tree.Symlink:
		header.SetMode(fs.ModeSymlink | 0o777)
		w, err := z.CreateHeader(header)
		if err == nil {
			_, err = io.WriteString(w, e.Target)
		}
		return err
	}
	f, st, ok, err := s.open(e)
	if err != nil || !ok {
		return err
	}
	defer f.Close()
	header.Method = zip.Deflate
	header.Modified = modified(st)
	header.SetMode(fs.FileMode(st.Mode & 0o777))
	w, err := z.CreateHeader(header)
	if err != nil {
		return err
	}
	if s.provenance != nil {
		return s.hashedCopy(w, e, f, st)
	}
	return s.copyTo(w, e.Path, f, st)
}
