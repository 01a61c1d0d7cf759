package artifact

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	"github.com/runnerd/runnerd/pkg/cache/archive/tree"
	"github.com/runnerd/runnerd/pkg/confine"
)

// The formats of artifacts.
const (
	Zip  = "zip"  // one archive, with folders, symlinks and permissions
	Gzip = "gzip" // the files behind one another, each a member with its name
	Raw  = "raw"  // one file as it is
)

// readBytes is how much of a file is read at once.
const readBytes = 256 << 10

// errNothingLeft is an artifact whose files went away between search and sending.
var errNothingLeft = errors.New("none of the files is there any more")

// pack writes the artifact to w and returns how many files are in it.
func pack(ctx context.Context, w io.Writer, root *confine.Root, u *Upload, found *notes) (files int, err error) {
	s := &source{ctx: ctx, cursor: root.Cursor(), notes: found, buffer: make([]byte, readBytes), provenance: u.Provenance}
	defer s.cursor.Close()
	switch u.Format {
	case Gzip:
		err = s.gzip(w, u.Entries, level(u.Level))
	case Raw:
		err = s.raw(w, u.Entries)
	default:
		err = s.zip(w, u.Entries, level(u.Level))
	}
	if err == nil && s.files == 0 && u.Format != Zip {
		err = errNothingLeft
	}
	return s.files, err
}

// level maps GitLab Runner's five words to flate's numbers.
func level(word string) int {
	switch word {
	case "fastest":
		return 1
	case "fast":
		return 3
	case "slow":
		return 7
	case "slowest":
		return 9
	}
	return 5
}

// raw writes the one file.
func (s *source) raw(w io.Writer, entries []tree.Entry) error {
	for _, e := range entries {
		if e.Kind == tree.File {
			return s.copyFile(w, e)
		}
	}
	return errNothingLeft
}

// copyFile writes the content of a file that is still there.
func (s *source) copyFile(w io.Writer, e tree.Entry) error {
	f, st, ok, err := s.open(e)
	if err != nil || !ok {
		return err
	}
	defer f.Close()
	return s.copyTo(w, e.Path, f, st)
}

// Check says whether entries can be sent in a format; its error is for the job's
// author.
func Check(format string, entries []tree.Entry) error {
	var files []string
	for _, e := range entries {
		if e.Kind == tree.File {
			files = append(files, e.Path)
		}
	}
	switch {
	case format != Raw && format != Gzip:
		return nil
	case len(files) == 0:
		return fmt.Errorf("only folders and symlinks match, and an artifact of this type (%s) is made of files", format)
	case format == Raw && len(files) > 1:
		return fmt.Errorf("%d files match (%s, %s, …), and an artifact of this type (raw) is one file: name it alone", len(files), files[0], files[1])
	}
	return nil
}

// FileName returns the name of an artifact's file. name is expanded; only its
// last component counts.
func FileName(name, format string) string {
	base := baseName(name)
	switch format {
	case Gzip:
		return base + ".gz"
	case Raw:
		return base
	}
	return base + ".zip"
}

func baseName(name string) string {
	base := path.Base(strings.TrimSpace(name))
	if base == "." || base == "/" || base == ".." {
		return "default"
	}
	return base
}
