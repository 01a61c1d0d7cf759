package standin

import (
	"context"
	"hash/crc32"
	"time"
)

// A State is the state of a job on the server.
type State string

// The states of a job.
const (
	Created   State = "created" // held back, see JobSpec.Held
	Pending   State = "pending"
	Running   State = "running"
	Canceling State = "canceling"
	Success   State = "success"
	Failed    State = "failed"
	Canceled  State = "canceled"
)

// Final says whether a job in this state is over.
func (s State) Final() bool { return s == Success || s == Failed || s == Canceled }

// A Job is a CI job. Its methods may be called at any time.
type Job struct {
	server   *Server
	id       int64
	token    string
	pipeline int64

	// Guarded by server.mu.
	spec         JobSpec
	sha          string
	made         time.Time
	deployment   int64 // 0 without an environment
	state        State
	reason       string
	exitCode     int
	runner       *Runner
	manager      *manager
	awaiting     bool // two-phase: handed out, not acknowledged
	kept         bool // two-phase: the client has said that it keeps the job pending
	pendingSince time.Time
	payload      []byte
	facts        facts
	log          []byte
	crc          uint32
	events       []Event
	uploads      []Upload
	expired      bool
	retried      *Job
	downloads    int // so many of the dependencies with a file have been asked for

	flying     int // PATCH and PUT being handled
	final      *jobUpdate
	handshakes int
	told       toldJob
	early      []Violation // PATCHes before their time; forgiven when the job ends
	pauses     int         // PATCHes in their time behind the last of those

	ackTimer, silenceTimer, cancelTimer *time.Timer
}

// AddJob adds a job. It is available at once, unless the spec holds it. It
// panics when the spec's Ref or SHA is not in its repository.
func (s *Server) AddJob(spec JobSpec) *Job {
	sha := spec.SHA
	if sha == "" {
		sha = "8c1fa0b7d25a4e91b3c6d7e8f90123456789abcd"
	}
	s.mu.Lock()
	j := &Job{
		server: s, id: s.id(), pipeline: s.id(), token: "glcbt-64_" + randomHex(10),
		spec: spec, sha: sha, state: Created, made: time.Now(),
	}
	if spec.Environment != "" {
		j.deployment = s.id()
	}
	s.jobs[j.id] = j
	j.event(EventCreated, 0, "")
	s.mu.Unlock()

	if r := spec.Repository; r != nil {
		if err := r.keepPipeline(j); err != nil {
			panic("standin: add job: " + err.Error()) // the spec names a ref that is not there
		}
	}
	if !spec.Held {
		j.Release()
	}
	return j
}

// Release makes a held job available.
func (j *Job) Release() {
	s := j.server
	s.mu.Lock()
	defer s.mu.Unlock()
	if j.state != Created {
		return
	}
	j.state, j.pendingSince = Pending, time.Now()
	s.order = append(s.order, j)
	for _, r := range s.runners {
		if j.spec.Runner == nil || j.spec.Runner == r {
			r.bump()
		}
	}
	j.event(EventPending, 0, "")
	s.broadcast()
}

// Cancel is the user's cancel button: a running job whose manager knows
// graceful cancelling becomes canceling, any other canceled (14.30).
func (j *Job) Cancel() {
	s := j.server
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case j.state == Running && j.manager.Features["cancel_gracefully"]:
		j.state = Canceling
		j.event(EventCanceling, 0, "")
		s.broadcast()
	case !j.state.Final() && j.state != Canceling:
		j.finish(Canceled, "", 0, "canceled")
	}
}

// ForceCancel ends a job that is still canceling, or any other (14.31).
func (j *Job) ForceCancel() {
	j.server.mu.Lock()
	defer j.server.mu.Unlock()
	if !j.state.Final() {
		j.finish(Canceled, "", 0, "canceled by force")
	}
}

// Wait waits until the job is over.
func (j *Job) Wait(ctx context.Context) (State, error) {
	err := j.Until(ctx, func(j *Job) bool { return j.State().Final() })
	return j.State(), err
}

// Until waits until cond is true. It is evaluated after every change at the
// server and may call the methods of any job.
func (j *Job) Until(ctx context.Context, cond func(*Job) bool) error {
	for {
		j.server.mu.Lock()
		changed := j.server.changed
		j.server.mu.Unlock()
		if cond(j) {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// finish ends the job. server.mu is held.
func (j *Job) finish(state State, reason string, exitCode int, why string) {
	if j.state.Final() {
		return
	}
	j.stopTimers()
	j.state, j.reason, j.exitCode, j.awaiting = state, reason, exitCode, false
	j.event(EventFinished, int64(len(j.log)), why)
	j.server.broadcast()
}

// unsupported returns a feature that the job needs and the runner lacks.
func (j *Job) unsupported(have map[string]bool) string {
	for _, f := range j.facts.requires(j.spec) {
		if !have[f] {
			return f
		}
	}
	return ""
}

func (j *Job) append(b []byte) {
	j.log = append(j.log, b...)
	j.crc = crc32.Update(j.crc, crc32.IEEETable, b)
}

func (j *Job) name() string { return orDefault(j.spec.Name, "test") }

func (j *Job) project() *Project {
	if j.spec.Repository != nil {
		return j.spec.Repository.Project
	}
	return j.server.project
}
