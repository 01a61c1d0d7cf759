package artifact

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"time"

	"golang.org/x/sys/unix"

	"github.com/runnerd/runnerd/pkg/cache/archive/tree"
	"github.com/runnerd/runnerd/pkg/confine"
)

// A source reads the files of one artifact, once.
type source struct {
	ctx    context.Context // of one sending
	cursor *confine.Cursor
	notes  *notes
	buffer []byte
	files  int // that were read

	provenance *Provenance // to be stated in a zip archive; nil: it is not
	subjects   []subject   // for it
}

// open opens a file. ok is false when it is gone, or something else by now: it
// is left out then.
func (s *source) open(e tree.Entry) (f confine.File, st unix.Stat_t, ok bool, err error) {
	if s.ctx.Err() != nil {
		return f, st, false, context.Cause(s.ctx)
	}
	f, st, err = s.cursor.Open(e.Path)
	switch {
	case err == nil:
		s.files++
		return f, st, true, nil
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, unix.ENOTDIR), errors.Is(err, unix.ELOOP), errors.Is(err, confine.ErrNotRegular):
		s.notes.add("left out: %q is no longer the file that was found: %v", e.Path, err)
		return f, st, false, nil
	}
	return f, st, false, err
}

// copyTo writes to w what f holds: as many bytes as it had when it was opened.
// A file that somebody changes meanwhile is noted.
func (s *source) copyTo(w io.Writer, path string, f confine.File, st unix.Stat_t) error {
	var done int64
	for done < st.Size {
		if s.ctx.Err() != nil {
			return context.Cause(s.ctx)
		}
		n, err := f.Read(s.buffer[:min(int64(len(s.buffer)), st.Size-done)])
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fmt.Errorf("read %q: %w", path, err)
		}
		if _, err := w.Write(s.buffer[:n]); err != nil {
			return err
		}
		done += int64(n)
	}
	after, err := f.Stat()
	switch {
	case err != nil:
		return fmt.Errorf("read %q: %w", path, err)
	case done < st.Size:
		s.notes.add("%q became shorter while it was read: the artifact has the %d bytes that were there of %d", path, done, st.Size)
	case after.Size > st.Size:
		s.notes.add("%q grew while it was read: the artifact has its first %d bytes", path, st.Size)
	case after.Mtim != st.Mtim:
		s.notes.add("%q changed while it was read: the artifact may have parts of both states", path)
	}
	return nil
}

// modified is when a file was changed last.
func modified(st unix.Stat_t) time.Time { return time.Unix(0, st.Mtim.Nano()) }

const maxNotes = 20

// notes are what a job's author should know of files. The same file may be read
// for several tries, and is told once.
type notes struct {
	list []string
	seen map[string]bool
	more int
}

func (n *notes) add(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	switch {
	case n.seen[text]:
	case len(n.list) == maxNotes:
		n.more++
	default:
		if n.seen == nil {
			n.seen = map[string]bool{}
		}
		n.seen[text] = true
		n.list = append(n.list, text)
	}
}

func (n *notes) all() []string {
	if n.more > 0 {
		return append(n.list, fmt.Sprintf("%d more files changed or were left out", n.more))
	}
	return n.list
}
