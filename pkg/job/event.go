package job

import "time"

// An Event is what the helper tells the daemon between the bytes of the log.
// Exactly one field of Phase, Cache, Canceling, Ending and Result is set.
type Event struct {
	Time      time.Time   `json:"time"`
	Phase     *PhaseEvent `json:"phase,omitempty"`
	Cache     *CacheEvent `json:"cache,omitempty"`
	Canceling bool        `json:"canceling,omitempty"` // the helper has seen a cancel
	Ending    bool        `json:"ending,omitempty"`    // what follows in the log says how the job ended, as Result does
	Result    *Result     `json:"result,omitempty"`    // the last event of a job
}

// A PhaseEvent says that a phase began (Took is 0 and Done false) or ended.
type PhaseEvent struct {
	Name string        `json:"name"` // as in GitLab Runner's stages: get_sources, step_script, …
	Done bool          `json:"done,omitempty"`
	Took time.Duration `json:"took,omitempty"` // ns
}

// A Result ends a job's stream. LogBytes lets the daemon see that it has the
// whole log.
type Result struct {
	Outcome
	LogBytes int64 `json:"log_bytes"`

	// Stopped says that the job failed because the cluster wants the pod gone. The
	// daemon knows why, and what becomes of the job.
	Stopped bool `json:"stopped,omitempty"`
	// Unbegun says that this happened before any script began.
	Unbegun bool `json:"unbegun,omitempty"`
	// BuildGone says that the job failed because the build container ended under a
	// script. The daemon may know why.
	BuildGone bool `json:"build_gone,omitempty"`
}
