package agent

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// pace is how long a busy reader rests between two looks.
	pace = 5 * time.Millisecond

	// blockSize is how much of the spool is given back to the disk at a time.
	blockSize = 1 << 20
)

// A tail copies a file that grows.
type tail struct {
	share *handover
	name  string
	out   io.Writer
	file  *os.File
	buf   []byte
	read  int64
	freed int64
	last  time.Time // when there was something to copy
}

// copy copies what has been written since the last time.
func (t *tail) copy() error {
	if t.file == nil {
		if err := t.open(); t.file == nil {
			return err
		}
	}
	for {
		n, err := t.file.Read(t.buf)
		if n > 0 {
			t.last = time.Now()
			if _, err := t.out.Write(t.buf[:n]); err != nil {
				return err
			}
			t.read += int64(n)
			t.free()
		}
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("read the script's output: %w", err)
		}
	}
}

// open opens the file, if it is there. A script can put anything in its
// place: a pipe, for one, would block the helper.
func (t *tail) open() error {
	file, err := t.share.root.OpenFile(t.name, os.O_RDWR|syscall.O_NONBLOCK, 0)
	if errors.Is(err, fs.ErrPermission) {
		file, err = t.share.root.OpenFile(t.name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read the script's output: %w", err)
	}
	if info, err := file.Stat(); err != nil || !info.Mode().IsRegular() {
		file.Close()
		return fmt.Errorf("read the script's output: %s is no regular file", t.name)
	}
	t.file = file
	t.buf = make([]byte, 64<<10)
	return nil
}

// free gives what was read back to the disk, so that a script can print more
// than the volume holds. Where it is not possible, the file just grows.
func (t *tail) free() {
	if n := (t.read - t.freed) / blockSize * blockSize; n > 0 {
		_ = unix.Fallocate(int(t.file.Fd()), unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, t.freed, n)
		t.freed += n
	}
}

// gather lets more output come together when there was some just now, but does
// not rest once name, the step's result, is there.
func (t *tail) gather(share *handover, name string) {
	if rest := pace - time.Since(t.last); rest > 0 && !share.exists(name) {
		time.Sleep(rest)
	}
}

// Close closes the file.
func (t *tail) Close() {
	if t.file != nil {
		t.file.Close()
	}
}
