package trace

import (
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/runnerd/runnerd/pkg/job"
)

const resumed = "line 1\nline 2\nline 3\nline 4\n"

// TestResume: the next process learns how much GitLab has before it writes
// anything, through outages as well, and GitLab gets each byte once.
func TestResume(t *testing.T) {
	for _, have := range []int{0, 3, 7, 10, len(resumed)} {
		for _, faults := range [][]fault{nil, {{drop: true}, {answer: job.Answer{Status: http.StatusBadGateway}}, {}, {lose: true}, {drop: true}}} {
			synctest.Test(t, func(t *testing.T) {
				s := newServer(t)
				s.log, s.faults = []byte(resumed)[:have], faults
				tr := New(Options{API: s, Resume: true})
				verdict, err := tr.Resume(t.Context(), []byte("line 1\n"))
				if verdict != GoOn || err != nil {
					t.Fatalf("have %d: Resume: %v, %v", have, verdict, err)
				}
				if got, want := tr.Sent(), max(have, len("line 1\n")); have != 3 && got != int64(want) {
					t.Errorf("have %d: Sent = %d, want %d", have, got, want)
				}
				ended := make(chan error, 1)
				go func() { ended <- tr.Run(t.Context()) }()
				for line := range strings.SplitAfterSeq(resumed, "\n") {
					write(t, tr, line)
				}
				if err := tr.Finish(t.Context(), success); err != nil {
					t.Fatalf("have %d: Finish: %v", have, err)
				}
				<-ended
				if string(s.log) != resumed {
					t.Errorf("have %d: log %q, want %q", have, s.log, resumed)
				}
			})
		}
	}
}

func TestResumeOfAJobThatIsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t)
		s.state = "canceled"
		tr := New(Options{API: s, Resume: true})
		if verdict, err := tr.Resume(t.Context(), []byte("x")); verdict != Drop || err != nil {
			t.Errorf("Resume: %v, %v, want Drop", verdict, err)
		}
	})
}

func TestResumeOfAJobThatIsBeingCanceled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t)
		s.state = "canceling"
		tr := New(Options{API: s, Resume: true})
		if verdict, err := tr.Resume(t.Context(), []byte("x")); verdict != Cancel || err != nil {
			t.Errorf("Resume: %v, %v, want Cancel", verdict, err)
		}
	})
}

// TestSkipLost: what was lost here is not made up, and nothing is written over
// what GitLab has.
func TestSkipLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t)
		s.log = []byte(resumed)
		tr := New(Options{API: s, Resume: true})
		if _, err := tr.Resume(t.Context(), []byte("line 1\n")); err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() { ended <- tr.Run(t.Context()) }()
		write(t, tr, "line 1\n")
		if got, want := tr.SkipLost(), int64(len("line 2\nline 3\nline 4\n")); got != want {
			t.Errorf("SkipLost = %d, want %d", got, want)
		}
		if got := tr.SkipLost(); got != 0 {
			t.Errorf("SkipLost again = %d, want 0", got)
		}
		write(t, tr, "the pod is gone\n")
		time.Sleep(time.Second)
		if err := tr.Finish(t.Context(), success); err != nil {
			t.Fatal(err)
		}
		<-ended
		if want := resumed + "the pod is gone\n"; string(s.log) != want {
			t.Errorf("log %q, want %q", s.log, want)
		}
		if got := s.final[0].Log.Bytes; got != int64(len(s.log)) {
			t.Errorf("bytesize %d, want %d", got, len(s.log))
		}
	})
}
