package standin

import (
	"maps"
	"slices"
	"strings"
	"time"
)

// A RunnerSpec says what runner to add.
type RunnerSpec struct {
	Token       string // default: a new one with the prefix glrt-
	Description string
	Limit       int           // checked: so many of its jobs run at once; 0: not checked
	Paused      bool          // gets no jobs
	TokenTTL    time.Duration // 0: the token does not expire
}

// A Runner is a runner's registration; its token may serve several managers.
type Runner struct {
	server *Server

	// Guarded by server.mu.
	id       int64
	token    string
	spec     RunnerSpec
	expires  time.Time // zero: never
	uuid     string
	queue    string          // current queue value; changes when a job becomes available
	issued   map[string]bool // queue values sent so far
	managers map[string]*manager
	deleted  bool
}

// A Manager is a process that uses a runner's token, as the server has stored
// it.
type Manager struct {
	SystemID    string
	Version     string
	Executor    string
	Features    map[string]bool
	LastContact time.Time
}

type manager struct {
	Manager
	stored time.Time // when info was stored
}

// AddRunner adds a runner.
func (s *Server) AddRunner(spec RunnerSpec) *Runner {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.addRunner(spec)
}

func (s *Server) addRunner(spec RunnerSpec) *Runner {
	r := &Runner{
		server:   s,
		id:       s.id(),
		token:    orDefault(spec.Token, "glrt-"+randomHex(10)),
		spec:     spec,
		uuid:     randomUUID(),
		queue:    randomHex(8),
		issued:   map[string]bool{},
		managers: map[string]*manager{},
	}
	r.renew()
	s.runners = append(s.runners, r)
	return r
}

// renew starts the token's lifetime anew.
func (r *Runner) renew() {
	if r.spec.TokenTTL > 0 {
		r.expires = time.Now().Add(r.spec.TokenTTL)
	}
}

// Runners returns all runners that exist, registered ones included.
func (s *Server) Runners() []*Runner {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(s.runners), func(r *Runner) bool { return r.deleted })
}

func (s *Server) runnerByToken(token string) *Runner {
	for _, r := range s.runners {
		if r.token == token && !r.deleted {
			return r
		}
	}
	return nil
}

// ID returns the runner's number.
func (r *Runner) ID() int64 { return r.id }

// Token returns the runner's current authentication token.
func (r *Runner) Token() string {
	r.server.mu.Lock()
	defer r.server.mu.Unlock()
	return r.token
}

// Managers returns the managers that have used the runner, by system id.
func (r *Runner) Managers() []Manager {
	r.server.mu.Lock()
	defer r.server.mu.Unlock()
	var list []Manager
	for _, id := range slices.Sorted(maps.Keys(r.managers)) {
		m := r.managers[id].Manager
		m.Features = maps.Clone(m.Features)
		list = append(list, m)
	}
	return list
}

// ManagerCrashed says that the runner's managers have ended without a word:
// their successors know nothing of what they were told.
func (r *Runner) ManagerCrashed() {
	r.server.mu.Lock()
	defer r.server.mu.Unlock()
	for key, c := range r.server.clients {
		if key.token == r.token {
			c.told = toldClient{}
		}
	}
}

// SetPaused pauses or resumes the runner.
func (r *Runner) SetPaused(paused bool) {
	r.server.mu.Lock()
	defer r.server.mu.Unlock()
	r.spec.Paused = paused
	r.bump()
	r.server.broadcast()
}

// Delete deletes the runner: its token is unknown from now on.
func (r *Runner) Delete() {
	r.server.mu.Lock()
	defer r.server.mu.Unlock()
	r.deleted = true
	r.server.broadcast()
}

// bump gives the runner's queue a new value: held requests end.
func (r *Runner) bump() { r.queue = randomHex(8) }

// runnerInfo is the `info` object (1.3).
type runnerInfo struct {
	Name         string            `json:"name"`
	Version      string            `json:"version"`
	Revision     string            `json:"revision"`
	Platform     string            `json:"platform"`
	Architecture string            `json:"architecture"`
	Executor     string            `json:"executor"`
	Shell        string            `json:"shell"`
	Features     map[string]bool   `json:"features"`
	Labels       map[string]string `json:"labels"`
}

// contact stores what a manager says about itself. As in GitLab, the first
// contact makes the row, and later ones change it only now and then (14.1).
func (r *Runner) contact(c *call, systemID string, info *runnerInfo) *manager {
	s := r.server
	if systemID == "" {
		systemID = "<legacy>"
	} else if !systemIDPattern.MatchString(systemID) {
		s.violate(c, "1.2", "system_id is %q, want s_ or r_ and 12 letters or digits", systemID)
	}
	now := time.Now()
	m := r.managers[systemID]
	if m == nil {
		m = &manager{Manager: Manager{SystemID: systemID}}
		r.managers[systemID] = m
		if info == nil || len(info.Features) == 0 {
			if systemID != "<legacy>" {
				s.violate(c, "14.1", "the first contact of manager %q has no info.features; jobs would be cancelled without after_script", systemID)
			}
		}
	}
	m.LastContact = now
	if info != nil && (m.stored.IsZero() || now.Sub(m.stored) >= s.opts.FeatureHold) {
		m.Version, m.Executor, m.Features, m.stored = info.Version, info.Executor, info.Features, now
	}
	return m
}

func randomUUID() string {
	h := randomHex(16)
	return strings.Join([]string{h[:8], h[8:12], h[12:16], h[16:20], h[20:]}, "-")
}
