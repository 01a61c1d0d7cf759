package standin

import "slices"

// ID returns the job's number.
func (j *Job) ID() int64 { return j.id }

// Token returns the job token.
func (j *Job) Token() string { return j.token }

// Name returns the job's name as its spec gives it.
func (j *Job) Name() string { return j.name() }

// ProjectID returns the number of the job's project.
func (j *Job) ProjectID() int64 { return j.project().id }

// PipelineID returns the number of the job's pipeline.
func (j *Job) PipelineID() int64 { return j.pipeline }

// locked reads a value under the server's mutex.
func locked[T any](j *Job, f func() T) T {
	j.server.mu.Lock()
	defer j.server.mu.Unlock()
	return f()
}

// State returns the job's state.
func (j *Job) State() State { return locked(j, func() State { return j.state }) }

// FailureReason returns the reason that GitLab has stored; empty unless the
// job failed.
func (j *Job) FailureReason() string { return locked(j, func() string { return j.reason }) }

// ExitCode returns the exit code that GitLab has stored; 0 when none was sent.
func (j *Job) ExitCode() int { return locked(j, func() int { return j.exitCode }) }

// Runner returns the runner that has the job, or nil.
func (j *Job) Runner() *Runner { return locked(j, func() *Runner { return j.runner }) }

// SystemID returns the manager that has the job, or "".
func (j *Job) SystemID() string {
	return locked(j, func() string {
		if j.manager == nil {
			return ""
		}
		return j.manager.SystemID
	})
}

// Payload returns the JSON that was handed out; nil before that.
func (j *Job) Payload() []byte { return locked(j, func() []byte { return slices.Clone(j.payload) }) }

// Log returns the bytes of the log as they were sent.
func (j *Job) Log() []byte { return locked(j, func() []byte { return slices.Clone(j.log) }) }

// Text returns the log as GitLab shows it: without timestamps, continued
// lines joined.
func (j *Job) Text() string { return locked(j, func() string { return plainText(j.log) }) }

// Events returns what happened to the job, in order.
func (j *Job) Events() []Event { return locked(j, func() []Event { return slices.Clone(j.events) }) }

// Uploads returns the artifacts that were uploaded.
func (j *Job) Uploads() []Upload {
	return locked(j, func() []Upload { return slices.Clone(j.uploads) })
}

// RetriedAs returns the job that took this one's place after nobody had
// acknowledged it (two-phase mode), or nil.
func (j *Job) RetriedAs() *Job { return locked(j, func() *Job { return j.retried }) }

// Requires returns the runner features without which the job is not handed
// out; known once a runner has asked for it.
func (j *Job) Requires() []string {
	return locked(j, func() []string { return j.facts.requires(j.spec) })
}
