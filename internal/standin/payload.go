package standin

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/url"
	"path"
	"strings"
	"time"
)

// payload is the body of a 201 (3.1).
type payload struct {
	ID            int64          `json:"id"`
	Token         string         `json:"token"`
	AllowGitFetch bool           `json:"allow_git_fetch"`
	JobInfo       jobInfo        `json:"job_info"`
	GitInfo       gitInfo        `json:"git_info"`
	RunnerInfo    map[string]any `json:"runner_info"`
	Inputs        []any          `json:"inputs,omitempty"`
	Variables     []Variable     `json:"variables"`
	Steps         []Step         `json:"steps"`
	Run           string         `json:"run,omitempty"`
	Hooks         []Hook         `json:"hooks"`
	Image         Image          `json:"image"`
	Services      []Service      `json:"services"`
	Artifacts     []Artifact     `json:"artifacts"`
	Cache         []Cache        `json:"cache"`
	Credentials   []Credential   `json:"credentials"`
	Dependencies  []Dependency   `json:"dependencies"`
	Features      Features       `json:"features"`
	Secrets       map[string]any `json:"secrets,omitempty"`
}

type jobInfo struct {
	ID               int64   `json:"id"`
	Name             string  `json:"name"`
	Stage            string  `json:"stage"`
	PipelineID       int64   `json:"pipeline_id"`
	ProjectID        int64   `json:"project_id"`
	ProjectName      string  `json:"project_name"`
	ProjectFullPath  string  `json:"project_full_path"`
	NamespaceID      int64   `json:"namespace_id"`
	RootNamespaceID  int64   `json:"root_namespace_id"`
	OrganizationID   int64   `json:"organization_id"`
	InstanceID       string  `json:"instance_id"`
	InstanceUUID     string  `json:"instance_uuid"`
	UserID           int64   `json:"user_id"`
	ScopedUserID     *int64  `json:"scoped_user_id"`
	TimeInQueue      float64 `json:"time_in_queue_seconds"`
	ProjectJobsCount string  `json:"project_jobs_running_on_instance_runners_count"`
	QueueSize        int     `json:"queue_size"`
	QueueDepth       int     `json:"queue_depth"`
}

type gitInfo struct {
	RepoURL      string   `json:"repo_url"`
	Ref          string   `json:"ref"`
	SHA          string   `json:"sha"`
	BeforeSHA    string   `json:"before_sha"`
	RefType      string   `json:"ref_type"`
	Refspecs     []string `json:"refspecs"`
	Depth        int      `json:"depth"`
	ObjectFormat string   `json:"repo_object_format"`
	Protected    bool     `json:"protected"`
}

// preparePayload makes the payload for one runner and reads back what the
// checks need to know of it. server.mu is held.
func (j *Job) preparePayload(r *Runner, base string) {
	p := j.build(r, base)
	raw, err := json.Marshal(p)
	if err != nil {
		panic(fmt.Sprintf("standin: encode payload of job %d: %v", j.id, err)) // Inputs or Secrets that are no JSON
	}
	if j.spec.Mutate != nil {
		raw = mutate(raw, j.spec.Mutate)
	}
	j.payload = raw
	j.facts = readFacts(raw)
}

func mutate(raw []byte, f func(map[string]any)) []byte {
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	var m map[string]any
	if err := dec.Decode(&m); err != nil {
		panic("standin: decode own payload: " + err.Error())
	}
	f(m)
	out, err := json.Marshal(m)
	if err != nil {
		panic("standin: encode payload after Mutate: " + err.Error())
	}
	return out
}

func (j *Job) build(r *Runner, base string) payload {
	spec, full := j.spec, j.project().path
	timeout := orDefault(spec.Timeout, time.Hour)
	features := Features{TraceSections: true, FailureReasons: AllFailureReasons()}
	if spec.Features != nil {
		features = *spec.Features
	}
	queueSize := 0
	for _, o := range j.server.order {
		if o.state == Pending {
			queueSize++
		}
	}
	host := base
	if u, err := url.Parse(base); err == nil {
		host = u.Host
	}
	p := payload{
		ID: j.id, Token: j.token, AllowGitFetch: !spec.NoGitFetch,
		JobInfo: jobInfo{
			ID: j.id, Name: j.name(), Stage: spec.stage(), PipelineID: j.pipeline,
			ProjectID: j.project().id, ProjectName: path.Base(full), ProjectFullPath: full,
			NamespaceID: 12, RootNamespaceID: 12, OrganizationID: 1,
			InstanceID: "b2c1d6e0f5a94d7c8a11", InstanceUUID: "0d9c9c0e-5f7f-4c55-9a35-0f4f3f6f7a10",
			UserID: spec.userID(), TimeInQueue: time.Since(j.pendingSince).Seconds(), ProjectJobsCount: "+Inf",
			QueueSize: queueSize, QueueDepth: 1,
		},
		GitInfo:      j.gitInfo(base),
		RunnerInfo:   map[string]any{"uuid": r.uuid, "timeout": int(timeout.Seconds()), "runner_session_url": nil},
		Inputs:       spec.Inputs,
		Steps:        j.steps(int(timeout.Seconds())),
		Run:          spec.Run,
		Hooks:        spec.Hooks,
		Image:        spec.Image,
		Services:     spec.Services,
		Artifacts:    spec.Artifacts,
		Cache:        spec.Cache,
		Credentials:  append([]Credential{{"registry", "registry.example.com", "gitlab-ci-token", j.token}}, spec.Credentials...),
		Dependencies: j.dependencies(),
		Features:     features,
		Secrets:      spec.Secrets,
	}
	p.Image.Name = orDefault(p.Image.Name, "docker.io/library/alpine:3.20")
	p.Variables = append(j.serverVariables(r, p, base, host), spec.Variables...)
	return p
}

func (j *Job) steps(timeout int) []Step {
	if j.spec.Steps != nil {
		return j.spec.Steps
	}
	if j.spec.Run != "" {
		return nil
	}
	script := j.spec.Script
	if script == nil {
		script = []string{"echo hello"}
	}
	list := []Step{{Name: "script", Script: script, Timeout: timeout, When: "on_success"}}
	if j.spec.AfterScript != nil {
		list = append(list, Step{Name: "after_script", Script: j.spec.AfterScript, Timeout: timeout, When: "always", AllowFailure: true})
	}
	return list
}

func (j *Job) gitInfo(base string) gitInfo {
	ref := j.spec.ref()
	depth := max(orDefault(j.spec.Depth, 20), 0)
	format := "sha1"
	if r := j.spec.Repository; r != nil && r.format != "" {
		format = r.format
	}
	g := gitInfo{
		Ref: ref, SHA: j.sha, BeforeSHA: strings.Repeat("0", len(j.sha)), Depth: depth,
		RefType: orDefault(j.spec.RefType, "branch"), ObjectFormat: format, Protected: j.spec.Protected,
		RepoURL:  withUser(base, "gitlab-ci-token", j.token) + "/" + j.project().path + ".git",
		Refspecs: j.spec.Refspecs,
	}
	if g.Refspecs != nil {
		return g
	}
	g.Refspecs = []string{fmt.Sprintf("+%s:refs/pipelines/%d", g.SHA, j.pipeline)}
	switch {
	case strings.HasPrefix(ref, "refs/merge-requests/"):
	case depth == 0:
		g.Refspecs = append(g.Refspecs, "+refs/heads/*:refs/remotes/origin/*", "+refs/tags/*:refs/tags/*")
	case g.RefType == "tag":
		g.Refspecs = append(g.Refspecs, fmt.Sprintf("+refs/tags/%s:refs/tags/%[1]s", ref))
	default:
		g.Refspecs = append(g.Refspecs, fmt.Sprintf("+refs/heads/%s:refs/remotes/origin/%[1]s", ref))
	}
	return g
}

// withUser puts credentials into a URL.
func withUser(base, user, password string) string {
	scheme, rest, ok := strings.Cut(base, "://")
	if !ok {
		return base
	}
	return scheme + "://" + url.UserPassword(user, password).String() + "@" + rest
}

func (j *Job) dependencies() []Dependency {
	if j.spec.Dependencies != nil {
		return j.spec.Dependencies
	}
	var list []Dependency
	for _, d := range j.spec.DependsOn {
		dep := Dependency{ID: d.id, Name: d.name(), Token: j.token}
		if a := d.archive(); a != nil && !d.expired {
			dep.File = &ArtifactsFile{Filename: a.Filename, Size: int64(len(a.Data))}
		}
		list = append(list, dep)
	}
	return list
}
