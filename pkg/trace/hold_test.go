package trace

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/runnerd/runnerd/pkg/job"
)

// states returns the states that GitLab was told, each once in a row.
func (s *server) states() (list []job.State) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.seen {
		if !e.patch && (len(list) == 0 || list[len(list)-1] != e.update.State) {
			list = append(list, e.update.State)
		}
	}
	return list
}

func (s *server) checkStates(want ...job.State) {
	s.t.Helper()
	got := s.states()
	same := len(got) == len(want)
	for i := range got {
		same = same && got[i] == want[i]
	}
	if !same {
		s.t.Errorf("GitLab was told %v, want %v", got, want)
	}
}

// longestSilence is the longest time without a request.
func (s *server) longestSilence() (longest time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := 1; i < len(s.seen); i++ {
		longest = max(longest, s.seen[i].at.Sub(s.seen[i-1].at))
	}
	return longest
}

// hold starts a trace of a job that a GitLab with two-phase commit has handed out.
func hold(t *testing.T, s *server) (tr *Trace, ended chan error) {
	t.Helper()
	s.state = "pending"
	tr = New(Options{API: s})
	if verdict, held, _ := tr.Hold(t.Context()); verdict != GoOn || !held {
		t.Fatalf("Hold: %v, %v, want GoOn and held", verdict, held)
	}
	ended = make(chan error, 1)
	go func() { ended <- tr.Run(t.Context()) }()
	return tr, ended
}

// TestHeldJob: GitLab hears that the job is still wanted, well within its minute,
// and gets the log when the job runs.
func TestHeldJob(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t)
		tr, ended := hold(t, s)
		write(t, tr, "waiting\n")
		time.Sleep(10 * time.Minute)
		s.checkStates(job.Pending)
		if silence := s.longestSilence(); silence > 50*time.Second {
			t.Errorf("GitLab heard nothing for %v", silence)
		}
		began := time.Now()
		if err := tr.Confirm(t.Context()); err != nil || tr.Held() {
			t.Fatalf("Confirm: %v, held: %v", err, tr.Held())
		}
		if took := time.Since(began); took > time.Second {
			t.Errorf("Confirm took %v", took)
		}
		if err := tr.Confirm(t.Context()); err != nil {
			t.Errorf("Confirm again: %v", err)
		}
		if err := tr.Finish(t.Context(), success); err != nil {
			t.Fatal(err)
		}
		<-ended
		s.checkStates(job.Pending, job.Running, job.Success)
		if string(s.log) != "waiting\n" {
			t.Errorf("log %q", s.log)
		}
	})
}

// TestHeldJobThatFails: GitLab wants to hear that it runs first.
func TestHeldJobThatFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t)
		tr, ended := hold(t, s)
		write(t, tr, "denied\n")
		if err := tr.Finish(t.Context(), Final{State: job.Failed, Reason: job.RunnerSystemFailure}); err != nil {
			t.Fatal(err)
		}
		<-ended
		s.checkStates(job.Pending, job.Running, job.Failed)
	})
}

func TestHoldThroughAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t)
		s.faults = []fault{{drop: true}, {answer: job.Answer{Status: http.StatusBadGateway}}, {lose: true}}
		tr, ended := hold(t, s)
		time.Sleep(time.Minute)
		s.checkStates(job.Pending)
		s.set(func() {
			s.faults = []fault{{drop: true}, {answer: job.Answer{Status: http.StatusTooManyRequests}}, {lose: true}}
		})
		if err := tr.Confirm(t.Context()); err != nil {
			t.Errorf("Confirm: %v", err)
		}
		if err := tr.Finish(t.Context(), success); err != nil {
			t.Fatal(err)
		}
		<-ended
		s.checkStates(job.Pending, job.Running, job.Success)
	})
}

// TestGitLabThatHoldsNoJobs: it refuses the state, at once or when an outage is over.
func TestGitLabThatHoldsNoJobs(t *testing.T) {
	for name, faults := range map[string][]fault{"at once": nil, "after an outage": {{drop: true}, {drop: true}}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newServer(t)
				s.faults = faults
				tr := New(Options{API: s})
				verdict, held, err := tr.Hold(t.Context())
				if verdict != GoOn || held != (faults != nil) || (err != nil) != held {
					t.Fatalf("Hold: %v, %v, %v", verdict, held, err)
				}
				if !held {
					if verdict, err := tr.Acknowledge(t.Context()); verdict != GoOn || err != nil {
						t.Fatalf("Acknowledge: %v, %v", verdict, err)
					}
				}
				ended := make(chan error, 1)
				go func() { ended <- tr.Run(t.Context()) }()
				time.Sleep(time.Minute)
				s.checkStates(job.Pending, job.Running)
				if err := tr.Confirm(t.Context()); err != nil {
					t.Errorf("Confirm: %v", err)
				}
				if err := tr.Finish(t.Context(), success); err != nil {
					t.Fatal(err)
				}
				<-ended
			})
		})
	}
}

// TestHeldJobThatAnotherHas: nothing more is said of it.
func TestHeldJobThatAnotherHas(t *testing.T) {
	for name, answer := range map[string]job.Answer{
		"another manager": {Status: http.StatusConflict}, "canceled": {Status: http.StatusForbidden, JobState: "canceled"},
	} {
		t.Run(name+", at once", func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newServer(t)
				s.state, s.faults = "pending", []fault{{answer: answer}}
				tr := New(Options{API: s})
				if verdict, _, err := tr.Hold(t.Context()); verdict != Drop || err != nil {
					t.Errorf("Hold: %v, %v, want Drop", verdict, err)
				}
			})
		})
		t.Run(name+", later", func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newServer(t)
				tr, ended := hold(t, s)
				s.set(func() { s.faults = []fault{{answer: answer}} })
				if got := <-tr.Signals(); got != job.Abort {
					t.Errorf("signal %v, want Abort", got)
				}
				<-ended
				said := len(s.seen)
				time.Sleep(10 * time.Minute)
				if len(s.seen) != said {
					t.Error("GitLab was told more of the job")
				}
			})
		})
		t.Run(name+", when it was to run", func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newServer(t)
				tr, ended := hold(t, s)
				time.Sleep(5 * time.Second)
				s.set(func() { s.faults = []fault{{answer: answer}} })
				if err := tr.Confirm(t.Context()); !errors.Is(err, ErrOver) {
					t.Errorf("Confirm: %v, want ErrOver", err)
				}
				<-ended
			})
		})
	}
}

// TestHeldJobIsGivenBack: by saying nothing more.
func TestHeldJobIsGivenBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t)
		s.state = "pending"
		tr := New(Options{API: s})
		if _, held, err := tr.Hold(t.Context()); !held || err != nil {
			t.Fatalf("Hold: %v, %v", held, err)
		}
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- tr.Run(ctx) }()
		write(t, tr, "waiting\n")
		time.Sleep(time.Minute)
		stop()
		<-ended
		if err := tr.Confirm(t.Context()); !errors.Is(err, ErrStopped) {
			t.Errorf("Confirm: %v, want ErrStopped", err)
		}
		s.checkStates(job.Pending)
	})
}
