package job

import (
	"fmt"
	"net/url"
	"path"
	"strconv"
	"strings"
)

// dirs are the folders of one job, as absolute slash-separated paths.
type dirs struct{ project, temp string }

// layout places the project directory below the builds directory, as GitLab
// Runner does: <builds>/<group>/<project>, with the runner and the concurrent
// id in between where several jobs share the builds directory.
func layout(j *Job, o Options, strategy string, vars []Variable) (dirs, error) {
	project := path.Join(o.BuildsDir, slug(j))
	if o.SharedBuildsDir {
		project = path.Join(o.BuildsDir, o.ShortToken, strconv.Itoa(o.ConcurrentProjectID), slug(j))
	}
	if custom := Value(vars, "GIT_CLONE_PATH"); custom != "" {
		clean := path.Clean(custom)
		if !strings.HasPrefix(clean, path.Clean(o.BuildsDir)+"/") {
			return dirs{}, Failf(RunnerConfigurationError,
				"GIT_CLONE_PATH=%q lies outside the builds directory: use a path below $CI_BUILDS_DIR (%s)", custom, o.BuildsDir)
		}
		project = clean
	}
	if strategy == StrategyEmpty {
		project += "-empty"
	}
	return dirs{project: project, temp: project + ".tmp"}, nil
}

// slug is the URL path of the repository without ".git", or "project-<id>"
// when the URL does not give one.
func slug(j *Job) string {
	fallback := fmt.Sprintf("project-%d", j.ProjectID)
	u, err := url.Parse(j.Git.RepoURL)
	if err != nil {
		return fallback
	}
	s := strings.Trim(path.Clean("/"+strings.TrimSuffix(strings.TrimRight(u.Path, "/"), ".git")), "/")
	if s == "" {
		return fallback
	}
	return s
}
