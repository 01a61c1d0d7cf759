package artifact_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/runnerd/runnerd/pkg/artifact"
	"github.com/runnerd/runnerd/pkg/confine"
)

var errEnough = errors.New("enough")

func newCause(t *testing.T) (context.Context, context.CancelCauseFunc) {
	ctx, cancel := context.WithCancelCause(t.Context())
	t.Cleanup(func() { cancel(nil) })
	return ctx, cancel
}

// A server answers when it has read so much of the body, and closes the
// connection with the rest unread.
type hasty struct {
	answer string
	after  int64
	invite bool // says 100 Continue, as a proxy in front of it does

	mu    sync.Mutex
	asked int
}

func (h *hasty) serve(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	var running sync.WaitGroup
	t.Cleanup(func() {
		l.Close()
		running.Wait()
	})
	running.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			running.Go(func() { h.one(conn) })
		}
	})
	return "http://" + l.Addr().String() + "/api/v4/"
}

func (h *hasty) one(conn net.Conn) {
	defer conn.Close()
	h.mu.Lock()
	h.asked++
	h.mu.Unlock()
	in := bufio.NewReader(conn)
	if _, err := http.ReadRequest(in); err != nil {
		return
	}
	if h.invite {
		fmt.Fprint(conn, "HTTP/1.1 100 Continue\r\n\r\n")
		io.CopyN(io.Discard, in, h.after)
	}
	fmt.Fprintf(conn, "HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: 30\r\nConnection: close\r\n\r\n%-30s", h.answer, `{"message":"said early"}`)
}

// A refusal is told as such, however early it comes, and the body is not sent to
// its end.
func TestEarlyAnswer(t *testing.T) {
	for _, tt := range []struct {
		name, answer, says string
		after              int64
		invite             bool
	}{
		{name: "before the body", answer: "413 Request Entity Too Large", says: "lower (413 Request Entity Too Large): said early"},
		{name: "in the body", answer: "413 Request Entity Too Large", says: "too large archive", invite: true, after: 3 << 20},
		{name: "at once", answer: "403 Forbidden", says: "permission denied", invite: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for range 10 { // it is a race
				h := &hasty{answer: tt.answer, after: tt.after, invite: tt.invite}
				s := &site{t: t, dir: t.TempDir()}
				s.write("big", strings.Repeat("0123456789abcdef", 1<<20))
				root, err := confine.Open(s.dir)
				must(t, err)
				defer root.Close()
				s.root = root
				client := s.newClient(h.serve(t))
				_, err = client.Upload(soon(t), root, artifact.Upload{JobID: 1, Token: "t", FileName: "f", Format: artifact.Raw, Entries: s.collect("big").Entries})
				says(t, err, tt.says)
				if h.asked != 1 {
					t.Errorf("%d requests, want 1", h.asked)
				}
			}
		})
	}
}

// A success before all was sent is none.
func TestEarlySuccessIsNone(t *testing.T) {
	h := &hasty{answer: "201 Created", after: 1000, invite: true}
	s := &site{t: t, dir: t.TempDir()}
	s.write("big", strings.Repeat("0123456789abcdef", 1<<20))
	root, err := confine.Open(s.dir)
	must(t, err)
	defer root.Close()
	s.root = root
	_, err = s.newClient(h.serve(t)).Upload(soon(t), root, artifact.Upload{JobID: 1, Token: "t", FileName: "f", Format: artifact.Raw, Entries: s.collect("big").Entries})
	says(t, err, "before it had all of the artifact")
}
