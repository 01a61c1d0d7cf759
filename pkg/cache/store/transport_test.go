package store

import (
	"errors"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"
)

// TestStall: a connection on which nothing moves any more is given up.
func TestStall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		defer ours.Close()
		defer theirs.Close()
		c := &stallConn{Conn: ours}
		begin := time.Now()
		if _, err := c.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(begin) != stallTimeout {
			t.Errorf("Read: %v after %v, want a timeout after %v", err, time.Since(begin), stallTimeout)
		}
		begin = time.Now()
		if _, err := c.Write([]byte("x")); !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(begin) != stallTimeout {
			t.Errorf("Write: %v after %v, want a timeout after %v", err, time.Since(begin), stallTimeout)
		}
	})
}
