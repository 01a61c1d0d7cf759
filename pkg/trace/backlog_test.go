package trace

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestBacklog: what GitLab has not confirmed is counted from the moment it is here
// until GitLab has it.
func TestBacklog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, backlog := newServer(t), &Backlog{}
		tr := New(Options{API: s, Backlog: backlog, BufferBytes: 10, SpillDir: t.TempDir()})
		wait := start(t, tr)
		write(t, tr, "hello\n")
		pass(time.Minute)
		if got := backlog.Unconfirmed(); got != (Unconfirmed{}) {
			t.Errorf("while all goes well: %+v", got)
		}
		s.set(func() { s.down = true })
		write(t, tr, strings.Repeat("x", 30))
		pass(time.Minute)
		if got, want := backlog.Unconfirmed(), (Unconfirmed{Memory: 10, Disk: 20}); got != want {
			t.Errorf("while GitLab is away: %+v, want %+v", got, want)
		}
		ended, finished := time.Now(), make(chan error, 1)
		go func() { finished <- tr.Finish(t.Context(), success) }()
		pass(5 * time.Hour)
		if got, want := backlog.Unconfirmed(), (Unconfirmed{Results: 1, Oldest: ended, Memory: 10, Disk: 20}); got != want {
			t.Errorf("with a result that nobody takes: %+v, want %+v", got, want)
		}
		s.set(func() { s.down = false })
		if err := errors.Join(<-finished, wait()); err != nil {
			t.Fatal(err)
		}
		if got := backlog.Unconfirmed(); got != (Unconfirmed{}) {
			t.Errorf("in the end: %+v", got)
		}
		if got, want := string(s.log), "hello\n"+strings.Repeat("x", 30); got != want {
			t.Errorf("log = %q, want %q", got, want)
		}
	})
}

// TestBacklogOfAdoptedJobs: a job that has ended counts before GitLab has answered
// the process that has adopted it.
func TestBacklogOfAdoptedJobs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, backlog := newServer(t), &Backlog{}
		s.down = true
		tr := New(Options{API: s, Backlog: backlog, Resume: true, FinishTimeout: 3 * time.Hour})
		var ended time.Time
		tr.Ends(func() time.Time { return ended })
		resumed := make(chan error, 1)
		go func() {
			_, err := tr.Resume(t.Context(), []byte("begin\n"))
			resumed <- err
		}()
		pass(time.Hour)
		if got := backlog.Unconfirmed(); got != (Unconfirmed{}) {
			t.Errorf("while the job runs: %+v", got)
		}
		ended = time.Now()
		pass(time.Hour)
		if got, want := backlog.Unconfirmed(), (Unconfirmed{Results: 1, Oldest: ended}); got != want {
			t.Errorf("when it has ended: %+v, want %+v", got, want)
		}
		if err := <-resumed; !errors.Is(err, ErrUndelivered) {
			t.Errorf("Resume ended with %v, want ErrUndelivered", err)
		}
		if got := backlog.Unconfirmed(); got != (Unconfirmed{}) {
			t.Errorf("in the end: %+v", got)
		}
	})
}

// TestFinishIsBounded: a result that nobody takes is given up in the end.
func TestFinishIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t)
		tr := New(Options{API: s})
		wait := start(t, tr)
		s.set(func() { s.down = true })
		began := time.Now()
		if err := tr.Finish(t.Context(), success); !errors.Is(err, ErrUndelivered) {
			t.Errorf("Finish: %v, want ErrUndelivered", err)
		}
		if d := time.Since(began); d != DefaultFinishTimeout {
			t.Errorf("Finish took %v, want %v", d, DefaultFinishTimeout)
		}
		if err := wait(); !errors.Is(err, ErrUndelivered) {
			t.Errorf("Run: %v, want ErrUndelivered", err)
		}
	})
}
