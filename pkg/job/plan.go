package job

import "time"

// PlanVersion is the version of the plan's JSON. An agent refuses a plan whose
// version it does not know; the daemon only changes it when an older agent
// would do the wrong thing with a newer plan.
const PlanVersion = 2

// A Plan is everything that is needed to run a job. The daemon keeps the Plan;
// Helper and Build travel into the pod, each readable by its container only.
type Plan struct {
	JobID       int64
	ProjectID   int64
	ProjectPath string
	JobName     string
	JobURL      string
	Ref         string
	SHA         string
	BeforeSHA   string
	Namespace   Namespace // GitLab's, not Kubernetes'
	Timeout     time.Duration

	ConcurrentID        int // unique among the running jobs of the runner entry
	ConcurrentProjectID int // unique among the running jobs of the entry and project

	Placement Placement      // where policy wants the pod
	Image     Image          // expanded; never without a name
	Services  []Service      // expanded
	Caches    []CacheRequest // by position in Helper.Caches
	// DebugServices shows what the services print in the job's log
	// (CI_DEBUG_SERVICES).
	DebugServices bool

	Secrets     []SecretRequest // expanded; the daemon resolves them
	Credentials []Credential
	Environment []Variable  // what may stand in the pod spec: public or internal
	Log         LogOptions  // how the daemon's own lines look, as in Helper.Log
	Overwrites  []Overwrite // what the job asks for by its variables; whether it may is for the place that runs it
	Warnings    []string    // about what the pod is made of, for the log before there is one
	Debug       bool        // CI_DEBUG_TRACE or CI_DEBUG_SERVICES is on: GitLab shows the log to fewer people

	SecretAttempts      int  // SECRETS_RETRIEVAL_ATTEMPTS
	SecretsMayBeMissing bool // a secret that is not there is empty, instead of failing the job

	Helper HelperPlan
	Build  BuildPlan
}

// A Placement says where policy wants a job's pod, and how it differs from those
// of other jobs. The zero Placement leaves everything to the runner's config.
type Placement struct {
	Namespace       string            // Kubernetes'
	ServiceAccount  string            // Kubernetes'
	NodeSelector    map[string]string // in addition to the runner's, and stronger
	NodeTolerations map[string]string // likewise; "key=value" or "key" → effect
	ResourceClass   string            // name of a set of the build container's resources
	NetworkTier     string            // label for NetworkPolicies
	CacheTier       string            // caches are shared within a tier only
}

// Namespace identifies the GitLab group that a project belongs to.
type Namespace struct {
	ID, RootID int64
	Path, Root string
}

// LogOptions say how the job's log is made.
type LogOptions struct {
	Timestamps   bool     `json:"timestamps,omitempty"`
	Sections     bool     `json:"sections,omitempty"`
	LimitBytes   int64    `json:"limit_bytes"`             // 0 means no limit
	Masks        []string `json:"masks,omitempty"`         // phrases to replace, longest first
	MaskPrefixes []string `json:"mask_prefixes,omitempty"` // token prefixes whose tail is replaced
}

// A HelperPlan is what the helper container does.
type HelperPlan struct {
	Version    int            `json:"version"`
	JobID      int64          `json:"job_id"`
	Timeout    time.Duration  `json:"timeout"` // ns; from the helper's start to the end of its last phase
	Started    time.Time      `json:"started"` // when the daemon received the job
	Log        LogOptions     `json:"log"`
	BuildsDir  string         `json:"builds_dir"`
	ProjectDir string         `json:"project_dir"`
	TempDir    string         `json:"temp_dir"`             // file variables, GITLAB_ENV; beside ProjectDir
	MemoryDir  string         `json:"memory_dir,omitempty"` // directory in memory that TempDir is to be a symlink to; set by the executor; "" means that TempDir is a directory
	HostName   string         `json:"host_name"`            // of the daemon, for "Running on … via …"
	Variables  []Variable     `json:"variables"`            // expanded; the last of a key wins
	Sources    Sources        `json:"sources"`
	Caches     []CachePlan    `json:"caches,omitempty"`
	Services   []ServiceCheck `json:"services,omitempty"`  // waited for before the first step
	CacheCA    string         `json:"cache_ca,omitempty"`  // PEM, for the caches' store; empty means the system's
	Proxy      Proxy          `json:"proxy,omitzero"`      // for the helper's own transfers; git goes by Variables
	Authority  string         `json:"authority,omitempty"` // file of the operator's certificate authorities; set by the executor; "" means none
	GitLab     GitLabPlan     `json:"gitlab"`              // empty unless artifacts are sent or fetched
	Steps      []HelperStep   `json:"steps"`               // in order; after_script last if there is one
	Warnings   []string       `json:"warnings,omitempty"`  // about the job's settings, printed in the log

	Dependencies []DependencyPlan `json:"dependencies,omitempty"` // fetched in this order
	Artifacts    []ArtifactPlan   `json:"artifacts,omitempty"`    // sent in this order
	Meter        time.Duration    `json:"meter,omitempty"`        // ns; how often the progress of a transfer is printed; 0 means never
	Provenance   *ProvenancePlan  `json:"provenance,omitempty"`   // for zip archives; nil: no statement is made

	// Held says that nothing is to begin, nor the time to run, before the daemon has
	// said so: until then GitLab may give the job to another runner.
	Held bool `json:"held,omitempty"`

	// Stays is how long (ns) the helper stays behind its result, to write frames again
	// that were lost on their way, unless it is told to end; set by the executor. 0
	// means that only the helper of a long log stays.
	Stays time.Duration `json:"stays,omitempty"`

	// Entrypoint says that the build container's shell is started by its image's
	// entrypoint, which may forget to.
	Entrypoint bool `json:"entrypoint,omitempty"`

	// AfterScriptMustSucceed is the user's AFTER_SCRIPT_IGNORE_ERRORS=false.
	AfterScriptMustSucceed bool `json:"after_script_must_succeed,omitempty"`
}

// A HelperStep is one step as the helper sees it: the script itself is in the
// build container.
type HelperStep struct {
	Name    string        `json:"name"`  // as in BuildPlan.Steps
	Phase   string        `json:"phase"` // section name, for example step_script
	Title   string        `json:"title"`
	Timeout time.Duration `json:"timeout,omitempty"` // ns; 0 means the job's
	After   bool          `json:"after,omitempty"`   // after_script: runs even when earlier steps failed
}

// Git strategies (GIT_STRATEGY).
const (
	StrategyFetch = "fetch"
	StrategyClone = "clone"
	StrategyNone  = "none"
	StrategyEmpty = "empty"
)

// Sources say how the project directory comes to be.
type Sources struct {
	Strategy     string        `json:"strategy"`
	URL          string        `json:"url"` // without credentials
	Username     string        `json:"username,omitempty"`
	Password     string        `json:"password,omitempty"`
	ObjectFormat string        `json:"object_format,omitempty"` // empty means sha1
	Ref          string        `json:"ref"`
	SHA          string        `json:"sha"`
	Refspecs     []string      `json:"refspecs"`
	Depth        int           `json:"depth,omitempty"` // 0 means all
	Checkout     bool          `json:"checkout"`
	CleanFlags   []string      `json:"clean_flags,omitempty"` // nil means no git clean
	FetchFlags   []string      `json:"fetch_flags,omitempty"`
	SkipLFS      bool          `json:"skip_lfs,omitempty"`
	Attempts     int           `json:"attempts"`
	Timeout      time.Duration `json:"timeout,omitempty"` // ns; 0 means the job's
	UserAgent    string        `json:"user_agent"`
	Correlation  string        `json:"correlation,omitempty"` // sent as X-Gitaly-Correlation-ID
	CA           string        `json:"ca,omitempty"`          // PEM, for the host of URL
	ClientCert   string        `json:"client_cert,omitempty"` // PEM, shown to the host of URL if it asks; "" means none
	ClientKey    string        `json:"client_key,omitempty"`  // PEM, of ClientCert
	Submodules   Submodules    `json:"submodules"`
	PreHooks     []string      `json:"pre_hooks,omitempty"`  // scripts, before anything is fetched
	PostHooks    []string      `json:"post_hooks,omitempty"` // scripts, after the checkout
}

// Submodules are the user's GIT_SUBMODULE_* settings.
type Submodules struct {
	Strategy    string   `json:"strategy,omitempty"` // "", normal or recursive
	Depth       int      `json:"depth,omitempty"`
	Paths       []string `json:"paths,omitempty"`
	UpdateFlags []string `json:"update_flags,omitempty"`
	ForceHTTPS  bool     `json:"force_https,omitempty"`
}

// A BuildPlan is what the build container does, a step at a time, when the
// helper asks for it.
type BuildPlan struct {
	Version    int         `json:"version"`
	ProjectDir string      `json:"project_dir"`
	TempDir    string      `json:"temp_dir"`
	EnvFile    string      `json:"env_file"`           // GITLAB_ENV: KEY=VALUE lines that jobs append
	Variables  []Variable  `json:"variables"`          // expanded; file variables hold their path
	Debug      bool        `json:"debug,omitempty"`    // CI_DEBUG_TRACE: xtrace
	Sections   bool        `json:"sections,omitempty"` // FF_SCRIPT_SECTIONS: a section for each command of several lines
	Steps      []BuildStep `json:"steps"`

	Authority  string        `json:"authority,omitempty"`   // as in HelperPlan; what the image trusts is merged with it
	KeepFailed time.Duration `json:"keep_failed,omitempty"` // ns; how long the container of a failed job stays; set by the executor
}

// A BuildStep is one script. All its lines run in one shell.
type BuildStep struct {
	Name     string   `json:"name"`
	Before   string   `json:"before,omitempty"` // the operator's pre_build_script
	Script   []string `json:"script"`
	After    string   `json:"after,omitempty"`    // the operator's post_build_script
	Announce string   `json:"announce,omitempty"` // a line printed first, "Running after script..."
}
