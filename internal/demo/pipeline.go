// Package demo is a small pipeline on a stand-in GitLab: what `runnerd demo`
// shows, and a walk through the whole daemon without an account anywhere.
package demo

import (
	"github.com/runnerd/runnerd/internal/standin"
)

// A step is one job of the pipeline and how it has to end.
type step struct {
	job          standin.JobSpec
	allowFailure bool
	want         standin.State
	exitCode     int    // wanted
	reason       string // wanted
}

// projectFiles is the repository that the jobs clone.
var projectFiles = map[string]string{
	"README.md": "# hello\n\nA small project for the demo pipeline.\n",
	"build.sh": `#!/bin/sh
set -e
mkdir -p out .cache
for part in parser compiler linker; do
  if [ -f ".cache/$part" ]; then
    echo "$part is in the cache"
  else
    echo "building $part"
    seq 1 20000 | sed "s/^/$part /" > ".cache/$part"
  fi
done
echo "echo hello from $CI_COMMIT_REF_NAME" > out/hello
echo "built out/hello"
`,
	"test.sh": `#!/bin/sh
echo "ok   parser"
echo "ok   compiler"
if [ "$1" = integration ]; then
  echo "FAIL linker: expected 3 symbols, got 2" >&2
  exit 3
fi
echo "ok   linker"
`,
	"lint.sh": `#!/bin/sh
echo "README.md:3: line ends with a full stop"
exit 1
`,
}

// pipeline returns the demo's jobs for images that exist where it runs.
// allowed is an image that the runner's policy allows.
func pipeline(repository *standin.Repository, allowed string) []step {
	spec := func(stage, name, image string, script ...string) standin.JobSpec {
		return standin.JobSpec{
			Stage: stage, Name: name, Repository: repository, Script: script,
			Image: standin.Image{Name: image},
		}
	}
	parts := standin.Cache{Key: "parts-non_protected", Paths: []string{".cache/"}, Policy: "pull-push"}
	build := spec("build", "build", allowed, "sh build.sh", "sh out/hello")
	build.Cache = []standin.Cache{parts}
	unit := spec("test", "unit", allowed,
		"sh test.sh",
		`echo "the deploy token is $DEPLOY_TOKEN: GitLab never sees it"`)
	unit.Variables = []standin.Variable{{Key: "DEPLOY_TOKEN", Value: "s3cr3t-horse-battery", Masked: true}}
	parts.Policy = "pull"
	unit.Cache = []standin.Cache{parts}
	unit.AfterScript = []string{`echo "the script's status was $CI_JOB_STATUS"`}
	integration := spec("test", "integration", allowed, "sh test.sh integration", "echo this line is never reached")
	integration.AfterScript = []string{`echo "the script's status was $CI_JOB_STATUS"`}
	lint := spec("test", "lint", allowed, "sh lint.sh")
	deploy := spec("deploy", "deploy", "registry.evil.example/miner:latest", "echo this job never runs")

	return []step{
		{job: build, want: standin.Success},
		{job: unit, want: standin.Success},
		{job: integration, want: standin.Failed, exitCode: 3, reason: "script_failure"},
		{job: lint, want: standin.Failed, exitCode: 1, reason: "script_failure", allowFailure: true},
		{job: deploy, want: standin.Failed, reason: "runner_system_failure"},
	}
}
