package trace

import (
	"bytes"
	"context"
	"errors"
	"hash/crc32"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/runnerd/runnerd/pkg/job"
)

func TestLogArrivesWhole(t *testing.T) {
	lines := strings.Repeat("a line of the log\n", 20_000) // 360 kB
	tests := []struct {
		name    string
		prepare func(*server)
		options Options
	}{
		{name: "plain"},
		{name: "answers lost", prepare: func(s *server) { s.faults = []fault{{}, {lose: true}, {}, {lose: true}, {lose: true}} }},
		{name: "connections refused", prepare: func(s *server) { s.faults = []fault{{}, {drop: true}, {drop: true}, {}, {drop: true}} }},
		{name: "busy", prepare: func(s *server) {
			s.faults = []fault{{}, {answer: job.Answer{Status: 502}}, {answer: job.Answer{Status: 429, RetryAfter: 7 * time.Second}}}
		}},
		{name: "acknowledgement lost", prepare: func(s *server) { s.faults = []fault{{drop: true}, {drop: true}} }},
		{name: "proxy wants small pieces", prepare: func(s *server) { s.maxBody = 10_000 }},
		{name: "handshake", prepare: func(s *server) { s.handshakes = 3 }},
		{name: "memory and disk full", options: Options{BufferBytes: 1000, SpillBytes: 5000}},
		{name: "no disk", options: Options{BufferBytes: 50_000, SpillBytes: -1}},
		{name: "disk that cannot be used", options: Options{BufferBytes: 50_000, SpillDir: "/nonexistent"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newServer(t)
				if tt.prepare != nil {
					tt.prepare(s)
				}
				tt.options.API = s
				tr := New(tt.options)
				wait := start(t, tr)
				for part := range strings.SplitAfterSeq(lines, "\n") {
					write(t, tr, part)
				}
				if err := tr.Finish(t.Context(), success); err != nil {
					t.Fatalf("Finish: %v", err)
				}
				if err := wait(); err != nil {
					t.Errorf("Run: %v", err)
				}
				if got := string(s.log); got != lines {
					t.Errorf("log of %d bytes at GitLab, want %d equal ones", len(got), len(lines))
				}
				if got := tr.Sent(); got != int64(len(lines)) {
					t.Errorf("Sent() = %d, want %d", got, len(lines))
				}
				want := job.Update{State: job.Success, Log: &job.LogDigest{
					CRC: crc32.ChecksumIEEE([]byte(lines)), Bytes: int64(len(lines)),
				}}
				for _, got := range s.final {
					if diff := cmp.Diff(want, got); diff != "" {
						t.Errorf("final update (-want +got):\n%s", diff)
					}
				}
				if first := s.seen[0].update; first.State != job.Running || first.Log != nil {
					t.Errorf("first request is %+v, want running without a log", first)
				}
			})
		})
	}
}

func TestPatchesKeepTheInterval(t *testing.T) {
	for _, interval := range []time.Duration{3 * time.Second, time.Minute} {
		t.Run(interval.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newServer(t)
				s.interval = interval
				tr := New(Options{API: s})
				wait := start(t, tr)
				begin := time.Now()
				for range 600 {
					write(t, tr, "tick\n")
					pass(500 * time.Millisecond)
				}
				running := s.patches()
				if first := running[0].at.Sub(begin); first > 100*time.Millisecond {
					t.Errorf("first piece after %s, want it at once", first)
				}
				for i := 1; i < len(running); i++ {
					if gap := running[i].at.Sub(running[i-1].at); gap < interval || gap > interval+time.Second {
						t.Errorf("pieces %d and %d are %s apart, want %s", i-1, i, gap, interval)
					}
				}
				if err := tr.Finish(t.Context(), success); err != nil {
					t.Error(err)
				}
				_ = wait()
			})
		})
	}
}

func TestFastJobIsNotSlowedDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t)
		s.interval = time.Minute
		tr := New(Options{API: s})
		wait := start(t, tr)
		begin := time.Now()
		log := bytes.Repeat([]byte("0123456789abcdef"), 6<<16) // 6 MiB
		for part := log; len(part) > 0; {
			n := min(len(part), 10_000)
			if _, err := tr.Write(part[:n]); err != nil {
				t.Fatal(err)
			}
			part = part[n:]
		}
		if err := tr.Finish(t.Context(), success); err != nil {
			t.Fatal(err)
		}
		_ = wait()
		if took := time.Since(begin); took > time.Second {
			t.Errorf("6 MiB took %s with an update interval of a minute, want them back to back", took)
		}
		if !bytes.Equal(s.log, log) {
			t.Errorf("log of %d bytes at GitLab, want %d equal ones", len(s.log), len(log))
		}
	})
}

// TestLostAnswerAtTheEndCostsSeconds: the interval that GitLab wishes while a
// job runs does not hold up its end.
func TestLostAnswerAtTheEndCostsSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t)
		s.interval = time.Minute
		tr := New(Options{API: s})
		wait := start(t, tr)
		write(t, tr, "first\n")
		synctest.Wait()
		time.Sleep(time.Second)
		s.set(func() { s.faults = []fault{{lose: true}} })
		write(t, tr, "second\n")
		begin := time.Now()
		if err := tr.Finish(t.Context(), success); err != nil {
			t.Fatal(err)
		}
		_ = wait()
		if took := time.Since(begin); took > 10*time.Second {
			t.Errorf("Finish took %s after one lost answer, want some seconds", took)
		}
		if got := string(s.log); got != "first\nsecond\n" {
			t.Errorf("log at GitLab = %q", got)
		}
	})
}

func TestSilentJobIsTouched(t *testing.T) {
	tests := []struct {
		name     string
		interval time.Duration
		budget   *Budget
		jobs     int // others on the budget
		within   time.Duration
		least    time.Duration
	}{
		{name: "watched", interval: 3 * time.Second, within: 1600 * time.Millisecond, least: 1500 * time.Millisecond},
		{name: "unwatched", interval: time.Minute, within: 10100 * time.Millisecond, least: 10 * time.Second},
		{name: "many jobs", interval: 3 * time.Second, budget: NewBudget(10), jobs: 199, within: 20100 * time.Millisecond, least: 20 * time.Second},
		{name: "too many jobs", interval: 3 * time.Second, budget: NewBudget(1), jobs: 999, within: 50100 * time.Millisecond, least: 50 * time.Second},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				for range tt.jobs {
					tt.budget.join()
				}
				s := newServer(t)
				s.interval = tt.interval
				tr := New(Options{API: s, Budget: tt.budget})
				wait := start(t, tr)
				pass(5 * time.Minute)
				for i := 1; i < len(s.seen); i++ {
					if gap := s.seen[i].at.Sub(s.seen[i-1].at); gap > tt.within || gap < tt.least {
						t.Errorf("silence of %s, want %s to %s", gap, tt.least, tt.within)
					}
				}
				if len(s.seen) < 5 {
					t.Errorf("%d requests in 5 min", len(s.seen))
				}
				_ = tr.Finish(t.Context(), success)
				_ = wait()
			})
		})
	}
}

func TestGracefulCancelIsSignalledOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t)
		tr := New(Options{API: s})
		wait := start(t, tr)
		s.set(func() { s.state = "canceling" })
		pass(time.Minute)
		if got := <-tr.Signals(); got != job.CancelGracefully {
			t.Errorf("signal %v, want CancelGracefully", got)
		}
		write(t, tr, "after_script\n")
		if err := tr.Finish(t.Context(), Final{State: job.Failed, Reason: job.UnknownFailure}); err != nil {
			t.Error(err)
		}
		_ = wait()
		if len(tr.Signals()) != 0 {
			t.Errorf("a second signal: %v", <-tr.Signals())
		}
		if string(s.log) != "after_script\n" || s.final[0].State != job.Failed {
			t.Errorf("log %q, final update %+v", s.log, s.final)
		}
	})
}

func TestAbortEndsEverything(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t)
		tr := New(Options{API: s, BufferBytes: 10, SpillBytes: -1})
		wait := start(t, tr)
		s.set(func() { s.state = "canceled" })
		_, err := tr.Write(bytes.Repeat([]byte("x"), 100)) // blocks until the abort
		if !errors.Is(err, ErrOver) {
			t.Errorf("Write: %v, want ErrOver", err)
		}
		if got := <-tr.Signals(); got != job.Abort {
			t.Errorf("signal %v, want Abort", got)
		}
		if err := wait(); err != nil {
			t.Errorf("Run: %v", err)
		}
		before := s.count()
		if err := tr.Finish(t.Context(), success); err != nil {
			t.Errorf("Finish: %v, want nil: GitLab does not want it", err)
		}
		pass(time.Minute)
		if after := s.count(); after != before {
			t.Errorf("%d requests after the abort", after-before)
		}
	})
}

func TestFinishOutlivesAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t)
		tr := New(Options{API: s})
		wait := start(t, tr)
		s.set(func() { s.down = true })
		write(t, tr, "the last line\n")
		finished := make(chan error, 1)
		go func() {
			finished <- tr.Finish(t.Context(), Final{State: job.Failed, Reason: job.ScriptFailure, ExitCode: 2})
		}()
		pass(50 * time.Minute)
		asked := s.count()
		if asked > 80 {
			t.Errorf("%d requests in an outage of 50 min", asked)
		}
		s.set(func() { s.down = false })
		back := time.Now()
		if err := <-finished; err != nil {
			t.Errorf("Finish: %v", err)
		}
		if took := time.Since(back); took > time.Minute {
			t.Errorf("delivered %s after GitLab was back", took)
		}
		_ = wait()
		if string(s.log) != "the last line\n" || s.final[0].ExitCode != 2 {
			t.Errorf("log %q, final %+v", s.log, s.final)
		}
	})
}

func TestFinishEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t)
		tr := New(Options{API: s})
		wait := start(t, tr)
		s.set(func() { s.down = true })
		gone := errors.New("time is up")
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Hour, gone)
		defer cancel()
		if err := tr.Finish(ctx, success); !errors.Is(err, gone) {
			t.Errorf("Finish: %v, want %v", err, gone)
		}
		if err := wait(); !errors.Is(err, gone) {
			t.Errorf("Run: %v, want %v", err, gone)
		}
	})
}

func TestResumeGoesOnWhereGitLabIs(t *testing.T) {
	const log = "line 1\nline 2\nline 3\nline 4\n"
	for _, have := range []int{0, 7, 10, len(log)} {
		synctest.Test(t, func(t *testing.T) {
			s := newServer(t)
			s.log = []byte(log)[:have]
			tr := New(Options{API: s, Resume: true})
			wait := start(t, tr)
			for line := range strings.SplitAfterSeq(log, "\n") {
				write(t, tr, line)
				pass(100 * time.Millisecond)
			}
			if err := tr.Finish(t.Context(), success); err != nil {
				t.Fatalf("have %d: Finish: %v", have, err)
			}
			_ = wait()
			if string(s.log) != log {
				t.Errorf("have %d: log %q, want %q", have, s.log, log)
			}
			if got := s.final[0].Log.Bytes; got != int64(len(log)) {
				t.Errorf("have %d: bytesize %d, want %d", have, got, len(log))
			}
		})
	}
}

func TestLostLogIsSaid(t *testing.T) {
	tests := []struct {
		name string
		make string // of the log at GitLab behind our back
		want string
	}{
		{name: "GitLab lost bytes", make: "", want: "it lost some"},
		{name: "another process writes", make: strings.Repeat("x", 500), want: "another process"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newServer(t)
				tr := New(Options{API: s})
				wait := start(t, tr)
				write(t, tr, "line 1\n")
				pass(time.Second)
				s.set(func() { s.log = []byte(tt.make) })
				write(t, tr, "line 2\n")
				pass(10 * time.Second)
				write(t, tr, "line 3\n")
				err := tr.Finish(t.Context(), success)
				if incomplete := new(IncompleteError); !errors.As(err, &incomplete) || !strings.Contains(err.Error(), tt.want) {
					t.Errorf("Finish: %v, want an IncompleteError that says %q", err, tt.want)
				}
				_ = wait()
				if len(s.final) != 1 {
					t.Errorf("%d final updates, want 1", len(s.final))
				}
			})
		})
	}
}

func TestAcknowledge(t *testing.T) {
	tests := []struct {
		answer job.Answer
		want   Verdict
		failed bool
	}{
		{job.Answer{Status: 200, JobState: "running"}, GoOn, false},
		{job.Answer{Status: 200, JobState: "canceling"}, Cancel, false},
		{job.Answer{Status: 200, JobState: "canceled"}, Drop, false},
		{job.Answer{Status: 403}, Drop, false},
		{job.Answer{Status: 404}, Drop, false},
		{job.Answer{Status: 409}, Drop, false},
		{job.Answer{Status: 500}, GoOn, true},
	}
	for _, tt := range tests {
		s := newServer(t)
		s.faults = []fault{{answer: tt.answer}}
		got, err := New(Options{API: s}).Acknowledge(t.Context())
		if got != tt.want || (err != nil) != tt.failed {
			t.Errorf("answer %+v: verdict %v, error %v; want %v, error %v", tt.answer, got, err, tt.want, tt.failed)
		}
	}
}

func TestIdleTraceHoldsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t)
		tr := New(Options{API: s, BufferBytes: 100})
		wait := start(t, tr)
		write(t, tr, strings.Repeat("x", 1000))
		pass(time.Minute)
		tr.mu.Lock()
		if tr.pending.head != nil || tr.pending.file != nil {
			t.Error("buffer is kept although GitLab has everything")
		}
		tr.mu.Unlock()
		_ = tr.Finish(t.Context(), success)
		_ = wait()
	})
}

func TestRefusedFinalUpdateGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t)
		tr := New(Options{API: s})
		wait := start(t, tr)
		for range 20 {
			s.faults = append(s.faults, fault{answer: job.Answer{Status: 400, Message: "state is invalid"}})
		}
		err := tr.Finish(t.Context(), success)
		if err == nil || !strings.Contains(err.Error(), "state is invalid") {
			t.Errorf("Finish: %v, want the server's reason", err)
		}
		_ = wait()
	})
}
