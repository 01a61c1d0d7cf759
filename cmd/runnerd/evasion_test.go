package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/bmatcuk/doublestar/v4"

	"github.com/runnerd/runnerd/internal/policycase"
	"github.com/runnerd/runnerd/pkg/config"
	"github.com/runnerd/runnerd/pkg/gitlab"
	"github.com/runnerd/runnerd/pkg/job"
	"github.com/runnerd/runnerd/pkg/policy"
)

var update = flag.Bool("update", false, "write the tables of the docs")

const (
	evasionCases = "../../test/evasion"
	evasionTable = "../../docs/evasion.md"
)

// TestEvasion: none of the jobs that try to get around a policy does, and the
// table in the docs says of each what plain globbing would have made of it.
func TestEvasion(t *testing.T) {
	var out, errs bytes.Buffer
	if code := run(context.Background(), []string{"policy", "test", evasionCases}, nil, &out, &errs); code != exitOK {
		t.Fatalf("exit code %d\n%s%s", code, out.String(), errs.String())
	}
	table := tableOfEvasion(t)
	if *update {
		if err := os.WriteFile(evasionTable, []byte(table), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(evasionTable)
	if err != nil || string(want) != table {
		t.Errorf("%s is not what the cases make now (%v); run go test ./cmd/runnerd -run Evasion -update", evasionTable, err)
	}
}

func tableOfEvasion(t *testing.T) string {
	files, err := policycase.Load(evasionCases)
	if err != nil {
		t.Fatal(err)
	}
	var rows strings.Builder
	tried, through, kept := 0, 0, 0
	for _, file := range files {
		a := &app{}
		own, err := a.trialFor(file)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&rows, "\n## %s\n\n| job | runnerd | plain globbing |\n| --- | --- | --- |\n", filepath.Base(file.Path))
		for _, c := range file.Cases {
			plain := plainly(t, own.runner, file, c)
			decided := "allows"
			if c.Expect == "deny" {
				decided = "denies"
				tried++
				if plain == "allows" {
					plain = "**allows**"
					through++
				}
			} else if plain == "denies" {
				plain = "**denies**"
				kept++
			}
			if c.Rule != "" && c.Expect == "deny" {
				decided += " by " + c.Rule
			}
			fmt.Fprintf(&rows, "| %s | %s | %s |\n", strings.ReplaceAll(c.Name, "|", "\\|"), decided, plain)
		}
	}
	if tried < 100 {
		t.Errorf("%d evasions are tried, want 100 or more", tried)
	}
	return fmt.Sprintf(`# Jobs that try to get around a policy

The cases are in `+"`test/evasion`"+`; `+"`runnerd policy test test/evasion`"+` runs them. The end-to-end suite also hands those that must not run to a real daemon, but for what only GitLab can tell
and what changes a pod on its way, which have tests of their own.
Beside each stands what plain globbing would have made of it: names compared as text with the same patterns, and facts read from the job's
variables, where the last one of a name wins, as scripts and hooks see them. Of %d jobs that must not run, it would have let %d through, and it
would have turned away %d that may.
%s`, tried, through, kept, rows.String())
}

// plainly decides as a policy would that compares text with text.
func plainly(t *testing.T, r config.Runner, file policycase.File, c policycase.Case) string {
	payload, err := c.Payload(file.Beside(file.Payload))
	if err != nil {
		t.Fatal(err)
	}
	j, err := gitlab.DecodeJob(payload)
	if err != nil {
		t.Fatal(err)
	}
	plan, err := job.Compile(j, planSettings(r, currentBuild()))
	if err != nil {
		t.Fatal(err)
	}
	if plainDenies(policyConfig(r), j, plan) {
		return "denies"
	}
	return "allows"
}

func plainDenies(c policy.Config, j *job.Job, plan *job.Plan) bool {
	value := func(key string) string { return job.Value(j.Variables, key) }
	if c.ProtectedOnly && value("CI_COMMIT_REF_PROTECTED") != "true" {
		return true
	}
	image, services := plan.Image.Name, []string{}
	for _, s := range plan.Services {
		services = append(services, s.Name)
	}
	if globbed(c.DeniedImages, image) || len(c.AllowedImages) > 0 && image != c.DefaultImage && !globbed(c.AllowedImages, image) {
		return true
	}
	for _, s := range services {
		if globbed(c.DeniedServices, s) || len(c.AllowedServices) > 0 && !globbed(c.AllowedServices, s) {
			return true
		}
	}
	if user := plan.Image.User; len(c.AllowedUsers) > 0 && user != "" && !slices.Contains(c.AllowedUsers, user) {
		return true
	}
	for _, rule := range c.Rules {
		if plainFits(rule, j, image, value) {
			return rule.Action == policy.Deny
		}
	}
	return c.DefaultDeny
}

func plainFits(r policy.Rule, j *job.Job, image string, value func(string) string) bool {
	fork := value("CI_MERGE_REQUEST_SOURCE_PROJECT_ID") != "" && value("CI_MERGE_REQUEST_SOURCE_PROJECT_ID") != fmt.Sprint(j.ProjectID)
	conditions := []bool{
		len(r.Projects) == 0 || globbed(r.Projects, value("CI_PROJECT_PATH")),
		len(r.Refs) == 0 || globbed(withoutKind(r.Refs), value("CI_COMMIT_REF_NAME")),
		r.Protected == job.Unset || (r.Protected == job.True) == (value("CI_COMMIT_REF_PROTECTED") == "true"),
		len(r.Sources) == 0 || globbed(r.Sources, value("CI_PIPELINE_SOURCE")),
		r.Forks == job.Unset || (r.Forks == job.True) == fork,
		len(r.Users) == 0 || globbed(r.Users, value("GITLAB_USER_LOGIN")),
		len(r.Jobs) == 0 || globbed(r.Jobs, value("CI_JOB_NAME")),
		len(r.Environments) == 0 || globbed(r.Environments, value("CI_ENVIRONMENT_NAME")),
		len(r.Tags) == 0 || globbed(r.Tags, value("CI_JOB_TAGS")),
		len(r.Images) == 0 || globbed(r.Images, image),
		r.Expression == "" || strings.HasPrefix(image, "registry.example.com/ci/"),
	}
	return !slices.Contains(conditions, false)
}

func withoutKind(refs []string) []string {
	var out []string
	for _, r := range refs {
		out = append(out, strings.TrimPrefix(r, "refs/tags/"))
	}
	return out
}

func globbed(patterns []string, text string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool { ok, _ := doublestar.Match(p, text); return ok })
}
