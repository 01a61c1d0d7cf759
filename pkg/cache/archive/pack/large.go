package pack

import (
	"sync"
	"sync/atomic"

	"github.com/runnerd/runnerd/pkg/cache/archive/tree"
	"github.com/runnerd/runnerd/pkg/confine"
)

// A large is a file that several workers read, each its pieces, through one
// handle: what is under its path may change meanwhile, the pieces belong together.
type large struct {
	entry   *tree.Entry
	ordinal uint32
	left    atomic.Int32 // pieces that have not been read

	once sync.Once
	file confine.File
	err  error // of opening
	open bool  // file is to be closed
}

// handle returns the file, which the first caller opens.
func (l *large) handle(c *confine.Cursor) (confine.File, error) {
	l.once.Do(func() {
		l.file, l.err = open(c, l.entry)
		l.open = l.err == nil
	})
	return l.file, l.err
}

// done is called after each piece. The last one looks whether the file is still
// what it was.
func (l *large) done() error {
	if l.left.Add(-1) > 0 {
		return nil
	}
	defer l.close()
	return unchanged(l.file, l.entry)
}

// close closes the file. Nobody may use it any more.
func (l *large) close() {
	if l.open {
		l.open = false
		_ = l.file.Close() // it was only read
	}
}
