package job

import (
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// defaultArtifactName is the name of artifacts that have none.
const defaultArtifactName = "artifacts"

// artifacts lays out what the helper sends to GitLab. An entry that means no
// file is left out.
func artifacts(j *Job, s *settings) ([]ArtifactPlan, error) {
	level := s.choice("ARTIFACT_COMPRESSION_LEVEL", "default", "fastest", "fast", "default", "slow", "slowest")
	var plans []ArtifactPlan
	for _, a := range j.Artifacts {
		if len(a.Paths) == 0 && len(a.Exclude) == 0 && !a.Untracked {
			continue
		}
		if a.Format != "" && !slices.Contains([]string{FormatZip, FormatGzip, FormatRaw}, a.Format) {
			return nil, Failf(RunnerConfigurationError, "artifacts of type %q have the format %q, which this runner does not know: it makes zip, gzip and raw", a.Type, a.Format)
		}
		p := ArtifactPlan{
			Name: a.Name, Paths: a.Paths, Exclude: a.Exclude, Untracked: a.Untracked,
			When: artifactWhen(s, a), ExpireIn: a.ExpireIn, Type: a.Type, Format: a.Format, Level: level,
		}
		if p.Name == "" {
			p.Name = defaultArtifactName
		}
		plans = append(plans, p)
	}
	return plans, nil
}

// provenance says what the statement about artifacts says, if the job wants one.
func provenance(j *Job, o Options, s *settings, plans []ArtifactPlan) *ProvenancePlan {
	isZip := func(p ArtifactPlan) bool { return p.Format == "" || p.Format == FormatZip }
	if !slices.ContainsFunc(plans, isZip) || !s.boolean("RUNNER_GENERATE_ARTIFACTS_METADATA", false) {
		return nil
	}
	s.choice("SLSA_PROVENANCE_SCHEMA_VERSION", "v1", "v1")
	project := projectURL(j)
	runner := Value(j.Variables, "CI_RUNNER_ID")
	if o.RunnerID > 0 { // which no job can change
		runner = strconv.FormatInt(o.RunnerID, 10)
	}
	p := &ProvenancePlan{
		Source: project, Commit: j.Git.SHA, EntryPoint: j.Name,
		Runner: o.RunnerName, RunnerURL: project + "/-/runners/" + runner, Executor: o.Executor, Product: o.Product, Version: o.Version,
	}
	for _, v := range j.Variables {
		p.Parameters = append(p.Parameters, v.Key)
	}
	slices.Sort(p.Parameters)
	p.Parameters = slices.Compact(p.Parameters)
	return p
}

// projectURL is where GitLab shows the project: a fact of GitLab's own, and no
// variable that a job could change.
func projectURL(j *Job) string {
	u, err := url.Parse(j.Git.RepoURL)
	if err != nil {
		return "" // such a job is refused for its sources
	}
	u.User, u.Path = nil, strings.TrimSuffix(u.Path, ".git")
	return u.String()
}

func artifactWhen(s *settings, a Artifact) string {
	switch a.When {
	case "":
		return WhenSuccess
	case WhenSuccess, WhenFailure, WhenAlways:
		return a.When
	}
	s.once("artifacts: when: " + strconv.Quote(a.When) + " is unknown and was taken for on_success")
	return WhenSuccess
}

// dependencies lists the jobs that have left something, in GitLab's order.
func dependencies(j *Job) []DependencyPlan {
	var plans []DependencyPlan
	for _, d := range j.Dependencies {
		if d.Filename != "" {
			plans = append(plans, DependencyPlan{JobID: d.ID, Name: d.Name, Token: d.Token.Reveal(), Size: d.Size})
		}
	}
	return plans
}

// gitLab says how the helper reaches GitLab, which a job without artifacts does
// not need.
func gitLab(j *Job, o Options, s *settings, flags map[string]bool) GitLabPlan {
	return GitLabPlan{
		API: o.APIURL, Token: j.Token.Reveal(),
		UploadTimeout: o.ArtifactUploadTimeout, ResponseTimeout: o.ArtifactResponseTimeout,
		Attempts: s.number("ARTIFACT_DOWNLOAD_ATTEMPTS", 1, 1, 10), Direct: flags[flagDirectDownload],
	}
}
