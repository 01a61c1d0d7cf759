package standin

import (
	"path"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// serverVariables are the variables that GitLab itself puts in front of the
// project's and the job's.
func (j *Job) serverVariables(r *Runner, p payload, base, host string) []Variable {
	info, git := p.JobInfo, p.GitInfo
	now := time.Now().UTC().Format(time.RFC3339)
	project := base + "/" + info.ProjectFullPath
	hostname, port, found := strings.Cut(host, ":")
	if !found {
		port = map[bool]string{true: "443", false: "80"}[strings.HasPrefix(base, "https:")]
	}
	protocol, _, _ := strings.Cut(base, "://")
	id, pipeline := strconv.FormatInt(info.ID, 10), strconv.FormatInt(info.PipelineID, 10)

	vars := []Variable{
		{Key: "CI_JOB_TOKEN", Value: j.token, Masked: true},
		{Key: "CI_REGISTRY_PASSWORD", Value: j.token, Masked: true},
		{Key: "CI_REPOSITORY_URL", Value: git.RepoURL},
	}
	public := func(keyValues ...string) {
		for i := 0; i < len(keyValues); i += 2 {
			vars = append(vars, Variable{Key: keyValues[i], Value: keyValues[i+1], Public: true})
		}
	}
	public(
		"CI_PIPELINE_ID", pipeline,
		"CI_PIPELINE_URL", project+"/-/pipelines/"+pipeline,
		"CI_PIPELINE_IID", "1",
		"CI_PIPELINE_SOURCE", j.spec.source(),
		"CI_JOB_ID", id,
		"CI_JOB_URL", project+"/-/jobs/"+id,
		"CI_JOB_NAME", info.Name,
		"CI_JOB_NAME_SLUG", slug(info.Name),
		"CI_JOB_STAGE", info.Stage,
		"CI_JOB_STARTED_AT", now,
		"CI_NODE_TOTAL", "1",
		"CI", "true",
		"GITLAB_CI", "true",
		"CI_API_V4_URL", base+"/api/v4",
		"CI_SERVER_URL", base,
		"CI_SERVER_HOST", hostname,
		"CI_SERVER_PORT", port,
		"CI_SERVER_PROTOCOL", protocol,
		"CI_SERVER_NAME", "GitLab",
		"CI_SERVER_VERSION", "19.4.0",
		"CI_SERVER_VERSION_MAJOR", "19",
		"CI_SERVER_VERSION_MINOR", "4",
		"CI_PROJECT_ID", strconv.FormatInt(info.ProjectID, 10),
		"CI_PROJECT_NAME", info.ProjectName,
		"CI_PROJECT_PATH", info.ProjectFullPath,
		"CI_PROJECT_PATH_SLUG", slug(info.ProjectFullPath),
		"CI_PROJECT_NAMESPACE", path.Dir(info.ProjectFullPath),
		"CI_PROJECT_URL", project,
		"CI_DEFAULT_BRANCH", "main",
		"CI_COMMIT_SHA", git.SHA,
		"CI_COMMIT_SHORT_SHA", git.SHA[:min(8, len(git.SHA))],
		"CI_COMMIT_BEFORE_SHA", git.BeforeSHA,
		"CI_COMMIT_REF_NAME", git.Ref,
		"CI_COMMIT_REF_SLUG", slug(git.Ref),
		"CI_COMMIT_REF_PROTECTED", strconv.FormatBool(git.Protected),
		"CI_REGISTRY", "registry.example.com",
		"CI_REGISTRY_USER", "gitlab-ci-token",
		"CI_RUNNER_ID", strconv.FormatInt(r.id, 10),
		"CI_RUNNER_DESCRIPTION", r.spec.Description,
		"GITLAB_USER_ID", strconv.FormatInt(j.spec.userID(), 10),
		"GITLAB_USER_LOGIN", j.spec.user(),
	)
	if git.RefType == "tag" {
		public("CI_COMMIT_TAG", git.Ref)
	} else if !strings.HasPrefix(git.Ref, "refs/") {
		public("CI_COMMIT_BRANCH", git.Ref)
	}
	if j.spec.Repository == nil {
		public("GIT_STRATEGY", "none")
	}
	if e := j.spec.Environment; e != "" {
		public("CI_ENVIRONMENT_NAME", e, "CI_ENVIRONMENT_SLUG", slug(e))
	}
	return vars
}

var notSlug = regexp.MustCompile(`[^a-z0-9]+`)

func slug(s string) string {
	s = notSlug.ReplaceAllString(strings.ToLower(s), "-")
	return strings.Trim(s[:min(len(s), 63)], "-")
}
