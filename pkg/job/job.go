package job

import (
	"slices"
	"time"
)

// A Job is one unit of work as GitLab handed it out, before any variable is
// expanded. Slices may be nil; absent and empty mean the same.
type Job struct {
	ID            int64
	Token         Secret // job token: API calls, git and registry access
	AllowGitFetch bool   // project setting: GIT_STRATEGY defaults to fetch

	Name            string // job name, for example "test 2/4"
	Stage           string // the user's pipeline stage
	PipelineID      int64
	ProjectID       int64
	ProjectName     string // last component of ProjectPath
	ProjectPath     string // "group/sub/project"
	NamespaceID     int64
	RootNamespaceID int64
	UserID          int64

	QueueTime          time.Duration // how long the job waited at GitLab
	QueueSize          int
	QueueDepth         int
	ProjectJobsRunning string // GitLab's bucket label, for example "3" or "+Inf"

	Git          Git
	Timeout      time.Duration // job timeout; never zero
	Variables    []Variable    // in GitLab's order; keys may repeat, the last one wins
	Steps        []Step
	Hooks        []Hook
	Image        Image // Name is empty when the job names none
	Services     []Service
	Artifacts    []Artifact
	Caches       []Cache
	Credentials  []Credential
	Dependencies []Dependency
	Inputs       []Input
	Features     Features

	Enforced Enforced

	Secrets       []SecretRequest // by name, not expanded
	Run           string          // `run:` steps as JSON text; runnerd does not execute them
	CorrelationID string          // X-Request-Id of the answer that carried the job
	TLSChain      string          // PEM of the server's CA chain, empty when the system trusts it
	TLSCert       string          // PEM of the client certificate that the server was shown; empty: none
	TLSKey        Secret          // PEM of its key
}

// Git says which commit to fetch, and how.
type Git struct {
	RepoURL      string // clone URL with credentials
	ObjectFormat string // "sha1" or "sha256"; empty means sha1
	Ref          string // branch, tag or merge-request ref
	SHA          string
	BeforeSHA    string
	RefType      string   // "branch" or "tag"
	Refspecs     []string // passed to git verbatim
	Depth        int      // 0 fetches the whole history
	Protected    Tristate // whether the ref is protected, as the server says
}

// A Tristate is a boolean that the sender may leave out.
type Tristate int

// The values of a Tristate.
const (
	Unset Tristate = iota
	False
	True
)

// A Variable is one CI variable.
type Variable struct {
	Key    string `json:"key"`
	Value  string `json:"value"`
	Public bool   `json:"public,omitempty"` // may appear in the pod spec
	Masked bool   `json:"masked,omitempty"` // value is replaced in the log
	Raw    bool   `json:"raw,omitempty"`    // value is not expanded
	File   bool   `json:"file,omitempty"`   // value goes to a file, the key holds its path
}

// A Step is an entry of the payload's steps: script, release or after_script.
type Step struct {
	Name   string
	Script []string // lines; each may hold several
}

// stepScript is the step with the user's own script.
const stepScript = "script"

// StepAfterScript is the step that runs even when the script failed.
const StepAfterScript = "after_script"

// A Hook is a user's script that runs around get_sources.
type Hook struct {
	Name   string // pre_get_sources_script or post_get_sources_script
	Script []string
}

// An Image names a container image and how to run it.
type Image struct {
	Name         string
	Pinned       string // Name's repository with the digest of what its tag stood for; "" unless it was resolved. It is what runs
	Entrypoint   []string
	PullPolicies []string // always, if-not-present, never; tried in order
	User         string   // "uid" or "uid:gid"; empty means the image's own
	Unsupported  []string // executor_opts keys that runnerd does not know
}

// Reference returns what a container runtime is asked for.
func (i Image) Reference() string {
	if i.Pinned != "" {
		return i.Pinned
	}
	return i.Name
}

// A Service is a container that runs beside the build.
type Service struct {
	Image
	Aliases    []string
	Command    []string
	Ports      []Port // declared; such a service has no host name of its own
	Variables  []Variable
	Configured bool // the operator's, not the job's, nor chosen by its variables
}

// An Artifact is one entry of the payload's artifacts.
type Artifact struct {
	Name      string
	Untracked bool
	Paths     []string
	Exclude   []string
	When      string
	ExpireIn  string
	Type      string
	Format    string
}

// A Cache is one entry of the payload's cache.
type Cache struct {
	Key          string
	Untracked    bool
	Paths        []string
	Mode         string // GitLab's cache:policy
	When         string
	FallbackKeys []string
}

// A Credential gives access to a container registry.
type Credential struct {
	URL      string
	Username string
	Password Secret
	Variable string // the variable that gave it; "" for GitLab
}

// A Dependency is an earlier job whose artifacts this job may download.
type Dependency struct {
	ID       int64
	Name     string
	Token    Secret
	Filename string // empty: the job left nothing to download
	Size     int64
}

// An Input is one `inputs` entry of the payload.
type Input struct {
	Key       string
	Type      string // one of the Input… constants, as the server says
	Content   string // JSON
	Sensitive bool
}

// Enforced says that a job was put into the pipeline by one of GitLab's pipeline
// execution policies (policy_options). GitLab has already chosen the variables;
// the job's log tells.
type Enforced struct {
	By         string   // name of the policy; "" when none has added the job
	Override   Tristate // whether the project's variables override the policy's
	Exceptions []string // names of variables to which the opposite applies
}

// Features are what the server says about itself.
type Features struct {
	TraceSections     bool
	FailureReasons    []string
	TokenMaskPrefixes []string
}

// Lookup returns the variable that wins for key: the last one in the list.
func Lookup(vars []Variable, key string) (Variable, bool) {
	for _, v := range slices.Backward(vars) {
		if v.Key == key {
			return v, true
		}
	}
	return Variable{}, false
}

// Value returns the value of the variable that wins for key, or "".
func Value(vars []Variable, key string) string {
	v, _ := Lookup(vars, key)
	return v.Value
}
