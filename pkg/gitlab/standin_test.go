package gitlab_test

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/runnerd/runnerd/internal/standin"
	"github.com/runnerd/runnerd/pkg/gitlab"
	"github.com/runnerd/runnerd/pkg/job"
	"github.com/runnerd/runnerd/pkg/poller"
	"github.com/runnerd/runnerd/pkg/trace"
)

// A miniature is a daemon without executor: every job prints what its script
// says and ends. It shows that client, trace and poller together keep the
// rules that the stand-in checks.
type miniature struct {
	t       *testing.T
	client  *gitlab.Client
	pause   time.Duration // between two lines
	mu      sync.Mutex
	running int
	most    int
}

func (m *miniature) Handle(ctx context.Context, j *job.Job, _ poller.Slot) {
	m.mu.Lock()
	m.running++
	m.most = max(m.most, m.running)
	m.mu.Unlock()
	defer func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.running--
	}()
	tr := trace.New(trace.Options{API: m.client, Job: job.Credentials{ID: j.ID, Token: j.Token}})
	if verdict, err := tr.Acknowledge(ctx); verdict != trace.GoOn {
		m.t.Logf("job %d: acknowledge: %v, %v", j.ID, verdict, err)
		return
	}
	ran := make(chan error, 1)
	go func() { ran <- tr.Run(ctx) }()
	final := m.script(j, tr)
	if err := tr.Finish(ctx, final); err != nil {
		m.t.Errorf("job %d: %v", j.ID, err)
	}
	if err := <-ran; err != nil {
		m.t.Errorf("job %d: Run: %v", j.ID, err)
	}
}

func (m *miniature) script(j *job.Job, tr *trace.Trace) trace.Final {
	for _, line := range j.Steps[0].Script {
		if _, err := fmt.Fprintln(tr, line); err != nil {
			return trace.Final{State: job.Failed, Reason: job.UnknownFailure}
		}
		select {
		case s := <-tr.Signals():
			fmt.Fprintln(tr, "signal", s)
			return trace.Final{State: job.Failed, Reason: job.UnknownFailure}
		case <-time.After(m.pause):
		}
	}
	return trace.Final{State: job.Success}
}

func (m *miniature) Damaged(ctx context.Context, d *job.DamagedError) {
	answer, err := m.client.UpdateJob(ctx, d.Credentials, job.Update{
		State: job.Failed, Reason: job.RunnerSystemFailure, Log: &job.LogDigest{}, // not a byte of log
	})
	if err != nil || answer.Status != 200 {
		m.t.Errorf("job %d: %+v, %v", d.ID, answer, err)
	}
}

// launch starts a miniature for a new runner of srv; it ends with the test,
// before the stand-in looks for violations.
func launch(t *testing.T, srv *standin.Server, concurrent int, pause time.Duration) *miniature {
	t.Helper()
	runner := srv.AddRunner(standin.RunnerSpec{})
	client, err := gitlab.New(gitlab.Config{
		URL: srv.URL(), Token: job.Secret(runner.Token()), SystemID: "r_0123456789ab",
		Info: gitlab.Info{Name: "runnerd", Version: "1.0.0", Executor: "kubernetes"},
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.Verify(t.Context()); err != nil {
		t.Fatal(err)
	}
	m := &miniature{t: t, client: client, pause: pause}
	p := poller.New(poller.Options{
		Source: client, Handler: m, Slots: poller.NewSlots(concurrent),
		Settings: poller.Settings{CheckInterval: 500 * time.Millisecond},
	})
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx, context.WithoutCancel(ctx)) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Errorf("poller: %v", err)
		}
		client.Close()
	})
	return m
}

func wait(t *testing.T, j *standin.Job, want standin.State) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	got, err := j.Wait(ctx)
	if err != nil || got != want {
		t.Errorf("job %d (%s): %s, %v; want %s", j.ID(), j.Name(), got, err, want)
	}
}

func options(t *testing.T) standin.Options {
	return standin.Options{
		Polling: 5 * time.Second, TraceInterval: time.Second, RequestConcurrency: 1, NoTimestamps: true,
		PromptPoll: 500 * time.Millisecond, Logf: t.Logf,
	}
}

func TestJobsOfTheStandIn(t *testing.T) {
	t.Parallel()
	o := options(t)
	o.Handshakes, o.Concurrent, o.PathPrefix = 2, 2, "/gitlab"
	srv := standin.Start(t, o)
	m := launch(t, srv, 2, 0)
	var jobs []*standin.Job
	for i := range 4 {
		jobs = append(jobs, srv.AddJob(standin.JobSpec{
			Name: fmt.Sprint("job ", i), AnyLog: true, Script: []string{"one", strings.Repeat("x", 100_000), "three"},
		}))
	}
	for _, j := range jobs {
		wait(t, j, standin.Success)
		if want := "one\n" + strings.Repeat("x", 100_000) + "\nthree\n"; string(j.Log()) != want {
			t.Errorf("job %d: log of %d bytes, want %d", j.ID(), len(j.Log()), len(want))
		}
	}
	if m.most > 2 {
		t.Errorf("%d jobs at once with concurrent = 2", m.most)
	}
}

func TestStandInFaults(t *testing.T) {
	t.Parallel()
	faults := map[string]standin.Fault{
		"answer of a PATCH lost":      {Endpoint: standin.PatchTrace, LoseAnswer: true, Times: 2},
		"PATCH cut off":               {Endpoint: standin.PatchTrace, CutAfter: 2000, Times: 1},
		"PATCH busy":                  {Endpoint: standin.PatchTrace, Status: 429, RetryAfter: time.Second},
		"PATCH broken":                {Endpoint: standin.PatchTrace, Status: 500, Times: 6},
		"acknowledgement lost":        {Endpoint: standin.UpdateJob, State: "running", LoseAnswer: true},
		"acknowledgement refused":     {Endpoint: standin.UpdateJob, State: "running", Reset: true},
		"final update lost":           {Endpoint: standin.UpdateJob, State: "success", LoseAnswer: true},
		"final update cut":            {Endpoint: standin.UpdateJob, State: "success", Reset: true, Times: 2},
		"request for a job lost race": {Endpoint: standin.RequestJob, Status: 409},
		"request for a job: 502":      {Endpoint: standin.RequestJob, Status: 502},
		"request for a job: 429":      {Endpoint: standin.RequestJob, Status: 429, ResetAfter: 2 * time.Second},
		"request for a job: reset":    {Endpoint: standin.RequestJob, Reset: true},
	}
	// All at once, whatever -parallel says: they mostly wait.
	var group sync.WaitGroup
	defer group.Wait()
	for name, fault := range faults {
		srv := standin.Start(t, options(t))
		j := srv.AddJob(standin.JobSpec{Name: name, AnyLog: true, Script: []string{"one", strings.Repeat("y", 10_000), "three"}})
		srv.Inject(fault)
		launch(t, srv, 1, 700*time.Millisecond)
		group.Go(func() {
			wait(t, j, standin.Success)
			if want := []byte("one\n" + strings.Repeat("y", 10_000) + "\nthree\n"); !bytes.Equal(j.Log(), want) {
				t.Errorf("%s: log of %d bytes, want %d equal ones", name, len(j.Log()), len(want))
			}
		})
	}
}

func TestStandInTruncatedJobIsReportedFailed(t *testing.T) {
	t.Parallel()
	srv := standin.Start(t, options(t))
	j := srv.AddJob(standin.JobSpec{AnyLog: true, Script: []string{"one"}})
	srv.Inject(standin.Fault{Endpoint: standin.RequestJob, Truncate: true})
	launch(t, srv, 1, 0)
	wait(t, j, standin.Failed)
	if j.FailureReason() != "runner_system_failure" {
		t.Errorf("reason %q", j.FailureReason())
	}
}

func TestStandInCancel(t *testing.T) {
	t.Parallel()
	for _, force := range []bool{false, true} {
		t.Run(fmt.Sprint("force ", force), func(t *testing.T) {
			srv := standin.Start(t, options(t))
			j := srv.AddJob(standin.JobSpec{AnyLog: true, Script: strings.Split(strings.Repeat("tick ", 600), " ")})
			launch(t, srv, 1, 100*time.Millisecond)
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			if err := j.Until(ctx, func(j *standin.Job) bool { return len(j.Log()) > 0 }); err != nil {
				t.Fatal(err)
			}
			if j.Cancel(); force {
				j.ForceCancel()
			}
			wait(t, j, standin.Canceled)
		})
	}
}

func TestStandInOddPayloads(t *testing.T) {
	t.Parallel()
	srv := standin.Start(t, options(t))
	launch(t, srv, 4, 0)
	for name, mutate := range standin.OddPayloads() {
		j := srv.AddJob(standin.JobSpec{Name: name, AnyLog: true, Script: []string{"one"}, Mutate: mutate})
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		if state, err := j.Wait(ctx); err != nil {
			t.Errorf("%s: %s, %v", name, state, err)
		}
		cancel()
	}
}
