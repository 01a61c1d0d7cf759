package trace

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/runnerd/runnerd/pkg/job"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var errLost = errors.New("connection reset")

// An exchange is one request that the server saw.
type exchange struct {
	at     time.Time
	patch  bool
	offset int64
	size   int
	update job.Update
}

// A server is GitLab's side of one job. faults are used up one per request.
type server struct {
	t        *testing.T
	interval time.Duration
	takes    time.Duration // of a request

	mu         sync.Mutex
	log        []byte
	state      string // Job-Status
	handshakes int    // 202 answers before the final 200
	faults     []fault
	down       bool
	maxBody    int
	busy       bool
	seen       []exchange
	final      []job.Update
}

type fault struct {
	answer job.Answer
	lose   bool // act, but lose the answer
	drop   bool // do nothing, no answer
}

func newServer(t *testing.T) *server {
	return &server{t: t, interval: 3 * time.Second, state: "running", takes: 10 * time.Millisecond}
}

func (s *server) serve(e exchange, act func() job.Answer) (job.Answer, error) {
	s.mu.Lock()
	if s.busy {
		s.t.Error("two requests of one job overlap")
	}
	s.busy = true
	e.at = time.Now()
	s.seen = append(s.seen, e)
	s.mu.Unlock()
	time.Sleep(s.takes)

	s.mu.Lock()
	defer s.mu.Unlock()
	s.busy = false
	if s.down {
		return job.Answer{}, errLost
	}
	if len(s.faults) > 0 {
		f := s.faults[0]
		s.faults = s.faults[1:]
		switch {
		case f.lose:
			act()
			return job.Answer{}, errLost
		case f.drop:
			return job.Answer{}, errLost
		case f.answer.Status != 0:
			return f.answer, nil
		}
	}
	if s.state == "canceled" {
		return job.Answer{Status: 403, JobState: s.state, Length: -1}, nil
	}
	a := act()
	if a.Interval == 0 {
		a.Interval = s.interval
	}
	a.JobState = s.state
	return a, nil
}

func (s *server) PatchTrace(_ context.Context, _ job.Credentials, offset int64, chunk []byte, _ bool) (job.Answer, error) {
	return s.serve(exchange{patch: true, offset: offset, size: len(chunk)}, func() job.Answer {
		switch {
		case s.state == "pending":
			s.t.Error("PATCH of a job that is pending")
		case len(chunk) == 0 || len(chunk) > 1<<20:
			s.t.Errorf("PATCH of %d bytes", len(chunk))
		case s.maxBody > 0 && len(chunk) > s.maxBody:
			return job.Answer{Status: 413, Length: -1}
		case offset != int64(len(s.log)):
			return job.Answer{Status: 416, Length: int64(len(s.log))}
		}
		s.log = append(s.log, chunk...)
		return job.Answer{Status: 202, Length: int64(len(s.log))}
	})
}

func (s *server) UpdateJob(_ context.Context, _ job.Credentials, u job.Update) (job.Answer, error) {
	return s.serve(exchange{update: u}, func() job.Answer {
		switch {
		case u.State == job.Running && s.state == "pending":
			s.state = "running"
			return job.Answer{Status: 200, Length: -1}
		case u.State == job.Running, u.State == job.Pending && s.state == "pending":
			return job.Answer{Status: 200, Length: -1}
		case u.State == job.Pending:
			return job.Answer{Status: 400, Length: -1}
		case s.state == "pending":
			s.t.Errorf("update %q of a job that is pending", u.State)
		}
		s.final = append(s.final, u)
		if s.handshakes > 0 {
			s.handshakes--
			return job.Answer{Status: 202, Interval: 2 * time.Second, Length: -1}
		}
		s.state = string(u.State)
		return job.Answer{Status: 200, Length: -1}
	})
}

func (s *server) set(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
}

// patches returns the PATCH requests so far.
func (s *server) patches() (out []exchange) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.seen {
		if e.patch {
			out = append(out, e)
		}
	}
	return out
}

func (s *server) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.seen)
}

// pass lets time pass until everybody waits again.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// start acknowledges the job and runs the trace; the returned wait returns
// what Run returned.
func start(t *testing.T, tr *Trace) (wait func() error) {
	t.Helper()
	if v, err := tr.Acknowledge(t.Context()); v != GoOn {
		t.Fatalf("Acknowledge: %v, %v", v, err)
	}
	done := make(chan error, 1)
	go func() { done <- tr.Run(t.Context()) }()
	return func() error { return <-done }
}

func write(t *testing.T, tr *Trace, text string) {
	t.Helper()
	if _, err := fmt.Fprint(tr, text); err != nil {
		t.Fatalf("Write: %v", err)
	}
}

var success = Final{State: job.Success}
