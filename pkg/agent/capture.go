package agent

import (
	"errors"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// quiet is how long nothing may come from a process that outlives its shell
	// before its output is given up; patience bounds the whole wait.
	quiet    = 100 * time.Millisecond
	patience = 500 * time.Millisecond

	pipeSize = 1 << 20
)

// A capture copies what processes write into a pipe. Stdout and stderr share
// it, so that the order is the one in which they wrote.
type capture struct {
	read, write *os.File
	out         io.Writer
	finished    chan struct{}
	ended       atomic.Int64 // when the shell ended, in Unix ns; 0 before
	err         error        // of out; set when finished closes
	rest        sync.WaitGroup
}

func newCapture(out io.Writer) (*capture, error) {
	read, write, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	c := &capture{read: read, write: write, out: out, finished: make(chan struct{})}
	if raw, err := write.SyscallConn(); err == nil {
		// A bigger pipe lets a busy script run on; a writable one lets
		// "echo > /dev/stderr" work for another user. Neither is needed.
		_ = raw.Control(func(fd uintptr) {
			_, _ = unix.FcntlInt(fd, unix.F_SETPIPE_SZ, pipeSize)
			_ = unix.Fchmod(int(fd), 0o666)
		})
	}
	return c, nil
}

// Run copies until every writer has closed the pipe, or, once end was called,
// until nothing came for a while. Whoever calls it in a goroutine waits for it
// through end.
func (c *capture) Run() {
	defer close(c.finished)
	buf := make([]byte, 64<<10)
	for {
		n, err := c.read.Read(buf)
		if n > 0 && c.err == nil {
			_, c.err = c.out.Write(buf[:n])
		}
		if errors.Is(err, os.ErrDeadlineExceeded) {
			c.leftover(buf)
			return
		}
		if err != nil {
			return // end of file
		}
		if ended := c.ended.Load(); ended != 0 {
			c.expect(time.Unix(0, ended))
		}
	}
}

// leftover copies what is in the pipe at the deadline: it may have come in time
// and waited for a slow out.
func (c *capture) leftover(buf []byte) {
	_ = c.read.SetReadDeadline(time.Time{})
	raw, err := c.read.SyscallConn()
	if err != nil {
		return
	}
	for left := pipeSize; left > 0; {
		n := 0
		err := raw.Read(func(fd uintptr) bool {
			n, _ = unix.Read(int(fd), buf)
			return true // without waiting
		})
		if err != nil || n <= 0 {
			return
		}
		if c.err == nil {
			_, c.err = c.out.Write(buf[:n])
		}
		left -= n
	}
}

// expect sets how long to wait for more.
func (c *capture) expect(ended time.Time) {
	deadline := time.Now().Add(quiet)
	if last := ended.Add(patience); deadline.After(last) {
		deadline = last
	}
	_ = c.read.SetReadDeadline(deadline)
}

// started closes this process's own end, after the child has it.
func (c *capture) started() { c.write.Close() }

// end waits for the rest of the output and returns the error of writing it.
//
// Processes that outlive their shell keep the pipe: what they write is dropped
// from here on, but they do not die of it. release lets go of them.
func (c *capture) end() error {
	now := time.Now()
	c.ended.Store(now.UnixNano())
	c.expect(now)
	<-c.finished
	_ = c.read.SetReadDeadline(time.Time{})
	c.rest.Go(func() { _, _ = io.Copy(io.Discard, c.read) })
	return c.err
}

// release closes the pipe.
func (c *capture) release() error {
	err := c.read.Close()
	c.rest.Wait()
	if errors.Is(err, os.ErrClosed) {
		return nil
	}
	return err
}
