package standin

import (
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"slices"
	"strings"
	"sync"
	"time"
)

// A Violation is something that a client did and should not have done.
type Violation struct {
	Time    time.Time
	Point   string // of the specification: "14.23"
	Text    string // what was seen and what would be right
	Job     int64  // 0 when it concerns no job
	Request string // method and path; empty when no request is to blame
}

func (v Violation) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s", v.Point, v.Text)
	if v.Job != 0 {
		fmt.Fprintf(&b, " (job %d)", v.Job)
	}
	if v.Request != "" {
		fmt.Fprintf(&b, " [%s]", v.Request)
	}
	return b.String()
}

// violations has its own mutex, so that a check may record one whether or not
// the server's state is locked.
type violations struct {
	allow []string
	logf  func(string, ...any)

	mu   sync.Mutex
	list []Violation
}

func (v *violations) add(n Violation) {
	if slices.Contains(v.allow, n.Point) {
		return
	}
	if n.Time.IsZero() {
		n.Time = time.Now()
	}
	v.logf("violation: %s", n)
	v.mu.Lock()
	defer v.mu.Unlock()
	v.list = append(v.list, n)
}

// Violations returns what has been recorded so far.
func (s *Server) Violations() []Violation {
	s.violations.mu.Lock()
	defer s.violations.mu.Unlock()
	return slices.Clone(s.violations.list)
}

// TakeViolations returns what has been recorded so far and forgets it: for
// tests that expect some.
func (s *Server) TakeViolations() []Violation {
	s.violations.mu.Lock()
	defer s.violations.mu.Unlock()
	list := s.violations.list
	s.violations.list = nil
	return list
}

// A TB is the part of [testing.TB] that [Start] needs.
type TB interface {
	Helper()
	Cleanup(func())
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
}

// Start serves a new [Server] on a free port of 127.0.0.1 until the test
// ends, and then fails the test for every violation.
func Start(t TB, o Options) *Server {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("standin: listen: %v", err)
	}
	s := New(o)
	if err := s.Start(l); err != nil {
		t.Fatalf("%v", err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("standin: close: %v", err)
		}
		for _, v := range s.Violations() {
			t.Errorf("protocol violation %s", v)
		}
	})
	return s
}

// quiet takes what net/http says about clients that hang up.
var quiet = log.New(io.Discard, "", 0)
