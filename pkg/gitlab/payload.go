package gitlab

import "encoding/json"

// The payload of a job as GitLab sends it. Every array and object may be
// absent or null, and fields that are not here are ignored.
type payload struct {
	ID            number                     `json:"id"`
	Token         text                       `json:"token"`
	AllowGitFetch bool                       `json:"allow_git_fetch"`
	JobInfo       payloadJobInfo             `json:"job_info"`
	GitInfo       payloadGitInfo             `json:"git_info"`
	RunnerInfo    payloadRunnerInfo          `json:"runner_info"`
	Inputs        []payloadInput             `json:"inputs"`
	Variables     []payloadVariable          `json:"variables"`
	Steps         []payloadStep              `json:"steps"`
	Run           json.RawMessage            `json:"run"`
	Hooks         []payloadStep              `json:"hooks"`
	Image         payloadImage               `json:"image"`
	Services      []payloadService           `json:"services"`
	Artifacts     []payloadArtifact          `json:"artifacts"`
	Cache         []payloadCache             `json:"cache"`
	Credentials   []payloadCredential        `json:"credentials"`
	Dependencies  []payloadDependency        `json:"dependencies"`
	Features      payloadFeatures            `json:"features"`
	Secrets       map[string]json.RawMessage `json:"secrets"`
	PolicyOptions payloadPolicyOptions       `json:"policy_options"`
}

type payloadJobInfo struct {
	Name               text   `json:"name"`
	Stage              text   `json:"stage"`
	PipelineID         number `json:"pipeline_id"`
	ProjectID          number `json:"project_id"`
	ProjectName        text   `json:"project_name"`
	ProjectFullPath    text   `json:"project_full_path"`
	NamespaceID        number `json:"namespace_id"`
	RootNamespaceID    number `json:"root_namespace_id"`
	UserID             number `json:"user_id"`
	TimeInQueue        number `json:"time_in_queue_seconds"`
	ProjectJobsRunning text   `json:"project_jobs_running_on_instance_runners_count"`
	QueueSize          number `json:"queue_size"`
	QueueDepth         number `json:"queue_depth"`
}

type payloadGitInfo struct {
	RepoURL      text   `json:"repo_url"`
	ObjectFormat text   `json:"repo_object_format"`
	Ref          text   `json:"ref"`
	SHA          text   `json:"sha"`
	BeforeSHA    text   `json:"before_sha"`
	RefType      text   `json:"ref_type"`
	Refspecs     texts  `json:"refspecs"`
	Depth        number `json:"depth"`
	Protected    *bool  `json:"protected"` // absent before GitLab 18.3
}

type payloadRunnerInfo struct {
	Timeout number `json:"timeout"` // seconds
}

type payloadInput struct {
	Key   text `json:"key"`
	Value struct {
		Type      text            `json:"type"`
		Content   json.RawMessage `json:"content"`
		Sensitive bool            `json:"sensitive"`
	} `json:"value"`
}

type payloadVariable struct {
	Key    text `json:"key"`
	Value  text `json:"value"`
	Public bool `json:"public"`
	Masked bool `json:"masked"`
	Raw    bool `json:"raw"`
	File   bool `json:"file"`
}

// payloadStep is an entry of steps or hooks. timeout, when and allow_failure
// are sent too; they say nothing that the job's own settings do not.
type payloadStep struct {
	Name   text  `json:"name"`
	Script texts `json:"script"`
}

type payloadImage struct {
	Name         text            `json:"name"`
	Entrypoint   texts           `json:"entrypoint"`
	PullPolicy   texts           `json:"pull_policy"`
	ExecutorOpts json.RawMessage `json:"executor_opts"`
}

type payloadService struct {
	payloadImage
	Alias     text              `json:"alias"`
	Command   texts             `json:"command"`
	Ports     []payloadPort     `json:"ports"`
	Variables []payloadVariable `json:"variables"`
}

type payloadPort struct {
	Number   number `json:"number"`
	Protocol text   `json:"protocol"`
	Name     text   `json:"name"`
}

type payloadArtifact struct {
	Name      text  `json:"name"`
	Untracked bool  `json:"untracked"`
	Paths     texts `json:"paths"`
	Exclude   texts `json:"exclude"`
	When      text  `json:"when"`
	ExpireIn  text  `json:"expire_in"`
	Type      text  `json:"artifact_type"`
	Format    text  `json:"artifact_format"`
}

type payloadCache struct {
	Key          text  `json:"key"`
	Untracked    bool  `json:"untracked"`
	Paths        texts `json:"paths"`
	Policy       text  `json:"policy"`
	When         text  `json:"when"`
	FallbackKeys texts `json:"fallback_keys"`
}

type payloadCredential struct {
	Type     text `json:"type"`
	URL      text `json:"url"`
	Username text `json:"username"`
	Password text `json:"password"`
}

type payloadDependency struct {
	ID    number `json:"id"`
	Name  text   `json:"name"`
	Token text   `json:"token"`
	File  struct {
		Filename text   `json:"filename"`
		Size     number `json:"size"`
	} `json:"artifacts_file"`
}

type payloadPolicyOptions struct {
	Job             bool  `json:"execution_policy_job"`
	Name            text  `json:"policy_name"`
	OverrideAllowed *bool `json:"policy_variables_override_allowed"`
	Exceptions      texts `json:"policy_variables_override_exceptions"`
}

type payloadFeatures struct {
	TraceSections     bool  `json:"trace_sections"`
	FailureReasons    texts `json:"failure_reasons"`
	TokenMaskPrefixes texts `json:"token_mask_prefixes"`
}
