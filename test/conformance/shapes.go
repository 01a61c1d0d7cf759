package conformance

import (
	"embed"
	"fmt"
	"strings"

	"github.com/runnerd/runnerd/internal/standin"
)

// Documents are the .gitlab-ci.yml files of the shapes, as users write them.
//
//go:embed shapes/*.yml
var Documents embed.FS

// A Shape is a .gitlab-ci.yml as it is found in the world, with its jobs as
// GitLab hands them out: one after the other, each a row whose name is the
// job's.
type Shape struct {
	Name string // of the document, without .yml
	Jobs []Row
}

// Shapes returns all of them.
func Shapes() []Shape { return shapes }

// builder is a tool that builds images, as far as a job can see.
const builder = `#!/bin/sh
set -eu
test "$1" = --config && test "$3" = --destination
grep -q '"auths"' "$2"
echo "pushed $4"
`

// database is a server that greets whoever connects.
var database = standin.Service{
	Alias: "db", Entrypoint: []string{"sh", "-c"}, Variables: vars("POSTGRES_PASSWORD", "$DB_PASSWORD"),
	Command: []string{`printf '#!/bin/sh\necho "ready, password of $(printf %s "$POSTGRES_PASSWORD" | wc -c) characters"\n' > /answer; chmod +x /answer; exec nc -ll -p 5432 -e /answer`},
}

var shapes = []Shape{
	{"monorepo", []Row{{
		Name: "build", Repo: "lfs",
		Job:  standin.JobSpec{Depth: 10, Variables: vars("GIT_SUBMODULE_STRATEGY", "recursive", "GIT_SUBMODULE_DEPTH", "1", "GIT_DEPTH", "10"), Script: []string{"test -e assets/logo.bin", "wc -c < big.bin", "cat assets/logo.bin"}},
		Want: prints("200000", "the logo"),
	}}},
	{"image-build", []Row{{
		Name: "build-image",
		Job: standin.JobSpec{
			Variables: append(vars("IMAGE", "$CI_REGISTRY/$CI_PROJECT_PATH:$CI_COMMIT_REF_SLUG"), file("REGISTRY_AUTH", `{"auths":{}}`), file("BUILDER", builder)),
			Script:    []string{`mkdir -p tools && cp "$BUILDER" tools/builder && chmod +x tools/builder`, `export PATH="$PWD/tools:$PATH"`, `builder --config "$REGISTRY_AUTH" --destination "$IMAGE"`},
		},
		Make: func(_ *World, job *standin.JobSpec) { job.Variables[2].Raw = true },
		Want: prints("pushed registry.example.com/conformance/hello:main"),
	}}},
	{"database", []Row{{
		Name: "test",
		Job: standin.JobSpec{
			Services: []standin.Service{database}, Variables: []standin.Variable{secret("DB_PASSWORD", "twelve-chars")},
			Script: []string{`n=0; until (exec 3<>/dev/tcp/db/5432 && cat <&3) 2>/dev/null; do n=$((n+1)); test $n -lt 500; sleep 0.2; done`},
		},
		Want: prints("ready, password of 12 characters"),
	}}},
	{"matrix", matrix("1.25", "1.26")},
	{"dotenv", []Row{
		{
			Name: "version",
			Job:  leaving(report("dotenv", "gzip", "build.env"), `echo "VERSION=1.2.$CI_PIPELINE_IID" > build.env`),
			Want: Want{Uploads: []Upload{{Type: "dotenv", Format: "gzip", Content: "VERSION=1.2.1\n"}}},
		},
		{
			Name: "publish",
			Job:  script(`echo "publishing $VERSION"`),
			Make: func(w *World, job *standin.JobSpec) { job.Variables = dotenv(w.Done["dotenv/version"]) },
			Want: prints("publishing 1.2.1"),
		},
	}},
	{"pages", []Row{{
		Name: "pages",
		Job:  leaving(archive("public"), "mkdir public", "cp README.md public/index.html"),
		Want: upload("public/index.html"),
	}}},
	{"release", []Row{{
		Name: "release",
		Job: standin.JobSpec{
			Ref: "v1.0", RefType: "tag", Variables: []standin.Variable{{Key: "SIGNING_KEY", Value: "key\n", File: true}},
			Steps: []standin.Step{
				{Name: "script", Script: []string{`sha256sum README.md "$SIGNING_KEY" | wc -l`}},
				{Name: "release", Script: []string{`echo create --tag-name "$CI_COMMIT_TAG" --description "Release $CI_COMMIT_TAG"`}},
			},
		},
		Want: prints("2", "create --tag-name v1.0 --description Release v1.0"),
	}}},
	{"merge-request", []Row{{
		Name: "lint",
		Job: standin.JobSpec{
			Ref: "refs/merge-requests/7/head", Source: "merge_request_event", Depth: -1, Variables: vars("GIT_DEPTH", "0"),
			Script: []string{`git fetch -q origin "$CI_DEFAULT_BRANCH"`, "git diff --name-only FETCH_HEAD...HEAD"},
		},
		Want: prints("feature.txt"),
	}}},
	{"environment", []Row{{
		Name: "deploy",
		Job:  standin.JobSpec{Environment: "production", Script: []string{"env | grep -c '^SETTING_'", "echo ${#CERTIFICATE_BUNDLE}", "echo $CI_ENVIRONMENT_NAME"}},
		Make: func(_ *World, job *standin.JobSpec) {
			job.Variables = vars("CERTIFICATE_BUNDLE", strings.Repeat("certificate\n", 20_000))
			for i := range 800 {
				job.Variables = append(job.Variables, standin.Variable{Key: fmt.Sprintf("SETTING_%d", i), Value: strings.Repeat("v", 200)})
			}
		},
		Want: prints("800", "240000", "production"),
	}}},
	{"retry", []Row{
		{Name: "integration", Job: standin.JobSpec{NeedsExitCode: true, Variables: vars("CI_ATTEMPT", "1"), Script: []string{`test "$CI_ATTEMPT" = 2 || exit 75`}}, Want: failed(75)},
		{Name: "integration", Job: standin.JobSpec{NeedsExitCode: true, Variables: vars("CI_ATTEMPT", "2"), Script: []string{`test "$CI_ATTEMPT" = 2 || exit 75`}}},
	}},
	{"after-script", []Row{{
		Name: "test",
		Job: standin.JobSpec{
			Script: []string{`echo "stack trace" > crash.txt`, "exit 1"}, AfterScript: []string{`mkdir -p logs && mv crash.txt "logs/$CI_JOB_STATUS.txt"`},
			Artifacts: []standin.Artifact{when(archive("logs"), "on_failure")},
		},
		Want: Want{State: standin.Failed, Exit: 1, Uploads: []Upload{{Entries: []string{"logs/failed.txt"}}}},
	}}},
	{"non-root", []Row{
		{
			Name: "install",
			Job: standin.JobSpec{
				Image: standin.Image{Name: "nonroot"}, Artifacts: []standin.Artifact{archive("node_modules")},
				Script: []string{
					`mkdir -p node_modules/left-pad && echo "module" > node_modules/left-pad/index.js`, "mkdir -p ~/.npm && touch ~/.npm/cache",
					"./run.sh", "git status --short",
				},
			},
			Want: Want{Lines: []string{"ran", "?? node_modules/"}, Uploads: []Upload{{Entries: []string{"node_modules/left-pad/index.js"}}}},
		},
		{
			Name: "test",
			Job:  in("nonroot", "cat node_modules/left-pad/index.js", "echo changed >> node_modules/left-pad/index.js", "id -u"),
			Make: func(w *World, job *standin.JobSpec) { job.DependsOn = []*standin.Job{w.Done["non-root/install"]} },
			Want: prints("module", "1000"),
		},
	}},
}

// matrix is a job for each pair of a version and a database.
func matrix(versions ...string) []Row {
	var rows []Row
	for _, version := range versions {
		for _, db := range []string{"sqlite", "postgres"} {
			rows = append(rows, Row{
				Name: fmt.Sprintf("test: [%s, %s]", version, db),
				Job:  with(vars("VERSION", version, "DATABASE", db), `echo "$VERSION on $DATABASE"`),
				Want: prints(version + " on " + db),
			})
		}
	}
	return rows
}
