package agent

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
	"time"
)

const (
	// maxSpool is how much room on the disk a step's output may take. A script
	// that prints faster than the helper reads then waits, as it would for a
	// slow terminal.
	maxSpool = 64 << 20

	// spoolLook is how often the room is looked at, in bytes written.
	spoolLook = 1 << 20
)

// A spool is the file that takes a step's output on its way to the helper.
type spool struct {
	*os.File
	unlimited func() bool // nobody makes room, or nobody can
	written   int         // since the last look
}

// errBegun is about a step that a container before this one has begun.
var errBegun = errors.New("the node has started the build container again while the script ran, and no script is run twice")

func (b *builder) createSpool(ctx context.Context, n int) (*spool, error) {
	file, err := b.share.root.OpenFile(spoolFile(n), os.O_WRONLY|os.O_CREATE|os.O_EXCL|os.O_APPEND, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return nil, errBegun
	}
	if err != nil {
		return nil, fmt.Errorf("create the file for the step's output: %w", err)
	}
	_ = file.Chmod(0o644) // whatever the image's umask; the helper is another user
	return &spool{File: file, unlimited: func() bool {
		return ctx.Err() != nil || b.helperGone() || b.share.exists(keepFile(n))
	}}, nil
}

// Write writes p, and then waits while the file is too large.
func (s *spool) Write(p []byte) (int, error) {
	n, err := s.File.Write(p)
	if s.written += n; s.written < spoolLook || err != nil {
		return n, err
	}
	s.written = 0
	for s.size() > maxSpool && !s.unlimited() {
		time.Sleep(pace)
	}
	return n, nil
}

// size returns how much room the file takes; the helper gives back what it has
// read.
func (s *spool) size() int64 {
	info, err := s.Stat()
	if err != nil {
		return 0
	}
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		return stat.Blocks * 512
	}
	return info.Size()
}
