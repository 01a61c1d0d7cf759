package artifact

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// answerGrace is how long a connection that takes no more bytes may still bring
// an answer.
const answerGrace = time.Second

// A dialer makes connections that lose no answer. A server that refuses a body
// may answer and close while bytes are on their way to it: all that a writer
// sees is a reset, and net/http would report that instead of the answer, which
// has arrived.
type dialer struct{ net.Dialer }

func (d dialer) dial(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := d.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return &patientConn{Conn: conn, closed: make(chan struct{})}, nil
}

// A patientConn reports that it cannot be written to when there was time to read
// the answer.
type patientConn struct {
	net.Conn
	once   sync.Once
	closed chan struct{}
}

func (c *patientConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	if errors.Is(err, unix.EPIPE) || errors.Is(err, unix.ECONNRESET) {
		wait := time.NewTimer(answerGrace)
		defer wait.Stop()
		select {
		case <-c.closed:
		case <-wait.C:
		}
	}
	return n, err
}

func (c *patientConn) Close() error {
	c.once.Do(func() { close(c.closed) })
	return c.Conn.Close()
}
