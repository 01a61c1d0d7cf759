package standin

import "time"

// A JobSpec says what job to add. Everything has a default that makes a job
// which a correct runner can run.
type JobSpec struct {
	Name   string  // default "test"
	Stage  string  // default "test"
	Runner *Runner // the only runner that may have it; default: any
	Held   bool    // not available before Job.Release

	// Sources. Without a repository the job gets GIT_STRATEGY=none.
	Repository *Repository
	Ref        string        // branch, tag or merge-request ref; default "main"
	RefType    string        // default "branch"
	SHA        string        // default: what Ref points to
	Refspecs   []string      // replaces what GitLab would send
	Depth      int           // default 20; < 0: the whole history
	Access     []*Repository // further repositories that the job's token may read
	Protected  bool          // the payload says that the ref is protected; see also [Project.ProtectBranch]
	NoGitFetch bool          // the project clones anew for every job

	Tags        []string
	Source      string // of the pipeline; default "push"
	User        string // login of whoever started the job; default "dev"
	UserID      int64  // default 3
	Environment string // the job is a deployment to it

	Script      []string // default: echo hello
	AfterScript []string
	Steps       []Step // replaces both
	Hooks       []Hook
	Run         string // `run:` steps, JSON text

	Image     Image // default: an alpine
	Services  []Service
	Variables []Variable // behind GitLab's own
	Cache     []Cache
	Timeout   time.Duration // default 1 h
	Secrets   map[string]any
	Inputs    []any

	Artifacts    []Artifact
	DependsOn    []*Job       // their archives are dependencies
	Dependencies []Dependency // replaces what DependsOn gives

	Credentials   []Credential // behind GitLab's own
	Features      *Features    // default: sections, all failure reasons
	NeedsExitCode bool         // as a job with allow_failure:exit_codes

	// AnyLog says that the script prints section markers or other things that
	// the checks of the log's form would take for the runner's.
	AnyLog bool

	// Mutate has the last word on the payload. It may be called more than
	// once; numbers are json.Number.
	Mutate func(payload map[string]any)
}

func (s JobSpec) source() string { return orDefault(s.Source, "push") }
func (s JobSpec) user() string   { return orDefault(s.User, "dev") }
func (s JobSpec) userID() int64  { return orDefault(s.UserID, 3) }
func (s JobSpec) stage() string  { return orDefault(s.Stage, "test") }
func (s JobSpec) ref() string    { return orDefault(s.Ref, "main") }

// A Variable is a CI variable of a job or a service.
type Variable struct {
	Key    string `json:"key"`
	Value  string `json:"value"`
	Public bool   `json:"public"`
	Masked bool   `json:"masked"`
	Raw    bool   `json:"raw,omitempty"`
	File   bool   `json:"file,omitempty"`
}

// A Step is an entry of steps.
type Step struct {
	Name         string   `json:"name"`
	Script       []string `json:"script"`
	Timeout      int      `json:"timeout"` // seconds
	When         string   `json:"when"`
	AllowFailure bool     `json:"allow_failure"`
}

// A Hook is a user's script around the sources.
type Hook struct {
	Name   string   `json:"name"`
	Script []string `json:"script"`
}

// An Image is the job's image.
type Image struct {
	Name         string         `json:"name"`
	Entrypoint   []string       `json:"entrypoint"`
	Ports        []any          `json:"ports"`
	PullPolicy   []string       `json:"pull_policy,omitempty"`
	ExecutorOpts map[string]any `json:"executor_opts"`
}

// A Service runs beside the job.
type Service struct {
	Name         string         `json:"name"`
	Alias        string         `json:"alias,omitempty"`
	Entrypoint   []string       `json:"entrypoint"`
	Command      []string       `json:"command"`
	Ports        []any          `json:"ports"`
	Variables    []Variable     `json:"variables"`
	PullPolicy   []string       `json:"pull_policy,omitempty"`
	ExecutorOpts map[string]any `json:"executor_opts"`
}

// An Artifact is an entry of artifacts.
type Artifact struct {
	Name      string   `json:"name,omitempty"`
	Untracked bool     `json:"untracked"`
	Paths     []string `json:"paths"`
	Exclude   []string `json:"exclude,omitempty"`
	When      string   `json:"when,omitempty"`
	ExpireIn  string   `json:"expire_in,omitempty"`
	Type      string   `json:"artifact_type,omitempty"`
	Format    string   `json:"artifact_format,omitempty"`
}

// A Cache is an entry of cache.
type Cache struct {
	Key          string   `json:"key"`
	Untracked    bool     `json:"untracked"`
	Paths        []string `json:"paths"`
	Policy       string   `json:"policy,omitempty"`
	When         string   `json:"when,omitempty"`
	FallbackKeys []string `json:"fallback_keys"`
}

// A Credential gives access to a registry.
type Credential struct {
	Type     string `json:"type"`
	URL      string `json:"url"`
	Username string `json:"username"`
	Password string `json:"password"`
}

// A Dependency is an earlier job whose archive the job may download.
type Dependency struct {
	ID    int64          `json:"id"`
	Name  string         `json:"name"`
	Token string         `json:"token"`
	File  *ArtifactsFile `json:"artifacts_file,omitempty"` // nil: there is nothing to download
}

// An ArtifactsFile is the archive of a dependency.
type ArtifactsFile struct {
	Filename string `json:"filename"`
	Size     int64  `json:"size"`
}

// Features are the server's capabilities.
type Features struct {
	TraceSections     bool     `json:"trace_sections"`
	FailureReasons    []string `json:"failure_reasons"`
	TokenMaskPrefixes []string `json:"token_mask_prefixes,omitempty"`
}
