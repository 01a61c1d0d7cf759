package job

import (
	"slices"
	"strconv"
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
	if len(plans) > 0 && s.boolean("RUNNER_GENERATE_ARTIFACTS_METADATA", false) {
		s.once("RUNNER_GENERATE_ARTIFACTS_METADATA is not honoured: this version of runnerd makes no provenance statement for artifacts")
	}
	return plans, nil
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
			plans = append(plans, DependencyPlan{JobID: d.ID, Name: d.Name, Token: d.Token.Reveal()})
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
