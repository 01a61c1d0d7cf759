package standin_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/runnerd/runnerd/internal/standin"
)

// git runs the real client, apart from the user's configuration.
func git(t *testing.T, dir string, args ...string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "git", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null", "GIT_TERMINAL_PROMPT=0", "HOME="+dir)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func mustGit(t *testing.T, dir string, args ...string) string {
	t.Helper()
	out, err := git(t, dir, args...)
	if err != nil {
		t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

type sources struct {
	RepoURL  string   `json:"repo_url"`
	SHA      string   `json:"sha"`
	Refspecs []string `json:"refspecs"`
}

func gitInfo(t *testing.T, j *standin.Job) sources {
	t.Helper()
	var p struct {
		Git sources `json:"git_info"`
	}
	if err := json.Unmarshal(j.Payload(), &p); err != nil {
		t.Fatalf("payload: %v", err)
	}
	return p.Git
}

// checkout does what a runner does with git_info.
func checkout(t *testing.T, j *standin.Job) string {
	t.Helper()
	info, dir := gitInfo(t, j), t.TempDir()
	mustGit(t, dir, "init", "-q", ".")
	mustGit(t, dir, "remote", "add", "origin", info.RepoURL)
	mustGit(t, dir, append([]string{"fetch", "--depth", "20", "origin"}, info.Refspecs...)...)
	mustGit(t, dir, "checkout", "-q", info.SHA)
	return dir
}

func TestSources(t *testing.T) {
	c := newNetworked(t, standin.Options{PathPrefix: "/gitlab"})
	repo, err := c.srv.AddRepository("demo/hello", map[string]string{"run.sh": "#!/bin/sh\necho hello\n", "docs/a b.txt": "über\n"})
	if err != nil {
		t.Fatal(err)
	}
	first, err := repo.Head("main")
	if err != nil {
		t.Fatal(err)
	}
	change, err := repo.Commit("feature", map[string]string{"feature.txt": "new\n"})
	if err != nil {
		t.Fatal(err)
	}
	if err := repo.Tag("v1", first); err != nil {
		t.Fatal(err)
	}
	if err := repo.MergeRequest(3, change); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name string
		spec standin.JobSpec
		file string
	}{
		{"branch main", standin.JobSpec{}, "run.sh"},
		{"another branch", standin.JobSpec{Ref: "feature"}, "feature.txt"},
		{"tag", standin.JobSpec{Ref: "v1", RefType: "tag"}, "docs/a b.txt"},
		{"merge request", standin.JobSpec{Ref: "refs/merge-requests/3/head"}, "feature.txt"},
		{"whole history", standin.JobSpec{Depth: -1}, "run.sh"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.spec.Repository = repo
			j := c.run(tt.spec)
			dir := checkout(t, j)
			if _, err := os.Stat(filepath.Join(dir, tt.file)); err != nil {
				t.Errorf("checked out tree: %v", err)
			}
			c.want(200, c.finish(j, "success", nil))
		})
	}
}

func TestSourcesAreForRunningJobsOfTheProject(t *testing.T) {
	c := newNetworked(t, standin.Options{})
	repo, err := c.srv.AddRepository("demo/hello", map[string]string{"a": "a\n"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.srv.AddRepository("demo/secret", map[string]string{"a": "a\n"}); err != nil {
		t.Fatal(err)
	}
	j := c.run(standin.JobSpec{Repository: repo})
	url := gitInfo(t, j).RepoURL
	if out, err := git(t, t.TempDir(), "clone", "-q", repo.URL()); err == nil {
		t.Errorf("clone without a token succeeded: %s", out)
	}
	if out, err := git(t, t.TempDir(), "clone", "-q", strings.Replace(url, "hello", "secret", 1)); err == nil || !strings.Contains(out, "not found") {
		t.Errorf("clone of another project: %v: %s", err, out)
	}
	dir := t.TempDir()
	mustGit(t, dir, "-c", "protocol.version=2", "clone", "-q", url, "x")
	if out, err := git(t, filepath.Join(dir, "x"), "push", "origin", "HEAD:refs/heads/x"); err == nil {
		t.Errorf("push succeeded: %s", out)
	}
	c.want(200, c.finish(j, "success", nil))
	if out, err := git(t, t.TempDir(), "clone", "-q", url); err == nil {
		t.Errorf("clone after the job's end succeeded: %s", out)
	}
}

func TestSubmodules(t *testing.T) {
	c := newNetworked(t, standin.Options{})
	lib, err := c.srv.AddRepository("demo/lib", map[string]string{"lib.txt": "lib\n"})
	if err != nil {
		t.Fatal(err)
	}
	repo, err := c.srv.AddRepository("demo/hello", map[string]string{"a": "a\n"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := repo.AddSubmodule("main", "vendor/lib", lib, "../lib.git"); err != nil {
		t.Fatal(err)
	}
	j := c.run(standin.JobSpec{Repository: repo, Access: []*standin.Repository{lib}})
	dir := checkout(t, j)
	mustGit(t, dir, "submodule", "update", "--init", "--depth", "1")
	if _, err := os.Stat(filepath.Join(dir, "vendor/lib/lib.txt")); err != nil {
		t.Errorf("submodule: %v", err)
	}
}

func TestImportedRepository(t *testing.T) {
	dir := t.TempDir()
	mustGit(t, dir, "init", "-q", "-b", "main", ".")
	if err := os.WriteFile(filepath.Join(dir, "a"), []byte("a\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	mustGit(t, dir, "add", "a")
	mustGit(t, dir, "-c", "user.name=Dev", "-c", "user.email=dev@example.com", "commit", "-q", "-m", "first")
	c := newNetworked(t, standin.Options{})
	repo, err := c.srv.ImportRepository("demo/imported", dir)
	if err != nil {
		t.Fatal(err)
	}
	j := c.run(standin.JobSpec{Repository: repo})
	if _, err := os.Stat(filepath.Join(checkout(t, j), "a")); err != nil {
		t.Errorf("checked out tree: %v", err)
	}
}
