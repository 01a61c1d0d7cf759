package agent

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// pace is how long a busy reader rests between two looks.
	pace = 5 * time.Millisecond

	// blockSize is how much of the spool is given back to the disk at a time.
	blockSize = 1 << 20

	// maxCopy is how much is copied at a time: a script that prints without end
	// must not keep the helper from stopping it.
	maxCopy = 4 << 20

	// lastPart is how much of the output that a full log would not show is read
	// all the same: it may be the last part, which the log shows at its end.
	lastPart = 2 << 20
)

// A sink takes a step's output: the job's log.
type sink interface {
	io.Writer
	// Full reports whether only the last part of the output will be shown.
	Full() bool
	// LeaveOut says that n bytes are not written.
	LeaveOut(n int64)
}

// A tail copies a file that grows.
type tail struct {
	share *handover
	step  int
	out   sink
	file  *os.File
	buf   []byte
	read  int64
	freed int64
	kept  bool      // the disk takes nothing back
	last  time.Time // when there was something to copy
}

// copy copies what has been written since the last time; more says that it did
// not get to the end.
func (t *tail) copy() (more bool, err error) {
	if t.file == nil {
		if err := t.open(); t.file == nil {
			return false, err
		}
	}
	if err := t.skip(); err != nil {
		return false, err
	}
	for limit := t.read + maxCopy; t.read < limit; {
		n, err := t.file.Read(t.buf)
		if n > 0 {
			t.last = time.Now()
			if _, err := t.out.Write(t.buf[:n]); err != nil {
				return false, err
			}
			t.read += int64(n)
			t.free()
		}
		switch {
		case errors.Is(err, io.EOF):
			return false, nil
		case err != nil:
			return false, fmt.Errorf("read the script's output: %w", err)
		}
	}
	return true, nil
}

// skip leaves out what a full log would not show: a script that prints without
// end costs the helper next to nothing then.
func (t *tail) skip() error {
	if !t.out.Full() {
		return nil
	}
	info, err := t.file.Stat()
	if err != nil {
		return fmt.Errorf("read the script's output: %w", err)
	}
	n := info.Size() - lastPart - t.read
	if n < lastPart {
		return nil
	}
	if _, err := t.file.Seek(n, io.SeekCurrent); err != nil {
		return fmt.Errorf("read the script's output: %w", err)
	}
	t.out.LeaveOut(n)
	t.read += n
	t.free()
	return nil
}

// copyRest copies what has been written until now, by a step that writes no
// more.
func (t *tail) copyRest() error {
	var size int64
	if info, err := t.share.root.Lstat(spoolFile(t.step)); err == nil {
		size = info.Size()
	}
	for {
		if more, err := t.copy(); !more || err != nil || t.read >= size {
			return err
		}
	}
}

// open opens the file, if it is there.
func (t *tail) open() error {
	file, err := t.share.open(spoolFile(t.step), os.O_RDWR)
	if errors.Is(err, fs.ErrPermission) {
		file, err = t.share.open(spoolFile(t.step), os.O_RDONLY)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read the script's output: %w", err)
	}
	t.file = file
	t.buf = make([]byte, 64<<10)
	return nil
}

// free gives what was read back to the disk, so that a script can print more
// than the volume holds. Where it is not possible, the build side is told to
// let the file grow.
func (t *tail) free() {
	n := (t.read - t.freed) / blockSize * blockSize
	if n == 0 || t.kept {
		return
	}
	if err := unix.Fallocate(int(t.file.Fd()), unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, t.freed, n); err != nil {
		t.kept = t.share.write(keepFile(t.step), true) == nil
		return
	}
	t.freed += n
}

// gather lets more output come together when there was some just now, but does
// not rest once the step's result is there.
func (t *tail) gather() {
	if rest := pace - time.Since(t.last); rest > 0 && !t.share.exists(resultFile(t.step)) {
		time.Sleep(rest)
	}
}

// Close closes the file.
func (t *tail) Close() {
	if t.file != nil {
		t.file.Close()
	}
}
