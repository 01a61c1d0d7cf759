package job

import "time"

// A GitLabPlan says how the helper reaches GitLab to transfer artifacts.
type GitLabPlan struct {
	API             string        `json:"api,omitempty"`              // URL below which the runner API lies, with a slash at its end
	Token           string        `json:"token,omitempty"`            // of the job
	UploadTimeout   time.Duration `json:"upload_timeout,omitempty"`   // ns; for one sending of one artifact
	ResponseTimeout time.Duration `json:"response_timeout,omitempty"` // ns; for the answer, once all is sent
	Attempts        int           `json:"attempts,omitempty"`         // ARTIFACT_DOWNLOAD_ATTEMPTS
	Direct          bool          `json:"direct,omitempty"`           // FF_USE_DIRECT_DOWNLOAD
}

// An ArtifactPlan is what the helper does for one entry of artifacts.
type ArtifactPlan struct {
	Name      string   `json:"name"`            // not expanded, as the paths: the agent knows GITLAB_ENV
	Paths     []string `json:"paths,omitempty"` // globs
	Exclude   []string `json:"exclude,omitempty"`
	Untracked bool     `json:"untracked,omitempty"`
	When      string   `json:"when"` // on_success, on_failure or always
	ExpireIn  string   `json:"expire_in,omitempty"`
	Type      string   `json:"type,omitempty"`
	Format    string   `json:"format,omitempty"` // as GitLab wants to hear it; empty means zip
	Level     string   `json:"level"`            // ARTIFACT_COMPRESSION_LEVEL
}

// A ProvenancePlan is what the provenance statement of a job's zip archives says
// beside their files (RUNNER_GENERATE_ARTIFACTS_METADATA).
type ProvenancePlan struct {
	Source     string   `json:"source"` // URL of the project
	Commit     string   `json:"commit"`
	EntryPoint string   `json:"entry_point"` // the job's name
	Parameters []string `json:"parameters"`  // names of the variables that GitLab has sent
	Runner     string   `json:"runner"`      // its name
	RunnerURL  string   `json:"runner_url"`  // where GitLab shows it
	Executor   string   `json:"executor"`
	Product    string   `json:"product"`
	Version    string   `json:"version"` // of the product
}

// The formats of artifacts.
const (
	FormatZip  = "zip"
	FormatGzip = "gzip"
	FormatRaw  = "raw"
)

// A DependencyPlan is an earlier job whose artifacts the helper fetches.
type DependencyPlan struct {
	JobID int64  `json:"job_id"`
	Name  string `json:"name"`
	Token string `json:"token"`
	Size  int64  `json:"size,omitempty"` // bytes, as GitLab says; 0 means that it does not
}
