package job

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func options() Options {
	return Options{
		Product: "runnerd", Version: "1.2.3", HostName: "manager", Platform: "linux/amd64",
		ShortToken: "abc123def", Executor: "kubernetes", BuildsDir: "/builds", OutputLimit: 4 << 20,
	}
}

func example() *Job {
	return &Job{
		ID: 7, Token: "job-token-1", ProjectID: 77, ProjectPath: "demo/hello", Name: "unit", Timeout: time.Hour,
		AllowGitFetch: true,
		Git: Git{
			RepoURL: "https://gitlab-ci-token:job-token-1@gitlab.example.com/demo/hello.git",
			Ref:     "main", SHA: "8c1fa0b7", Refspecs: []string{"+refs/heads/main:refs/remotes/origin/main"}, Depth: 20,
		},
		Image:    Image{Name: "$REGISTRY/ci/go:1"},
		Features: Features{TraceSections: true},
		Variables: []Variable{
			{Key: "REGISTRY", Value: "registry.example.com", Public: true},
			{Key: "SECRET", Value: "hunter22", Masked: true},
			{Key: "CERT", Value: "pem", File: true},
		},
		Steps: []Step{
			{Name: StepAfterScript, Script: []string{"echo after"}},
			{Name: "script", Script: []string{"echo $SECRET"}},
			{Name: "release", Script: []string{"release $REGISTRY $$HOME"}},
		},
	}
}

// CI_BUILDS_DIR is the runner's own variable, and not among those that GitLab
// sends.
func TestClonePath(t *testing.T) {
	j := &Job{
		Image: Image{Name: "i"}, Git: Git{RepoURL: "https://gitlab.example.com/group/project.git"},
		Variables: []Variable{{Key: "GIT_CLONE_PATH", Value: "$CI_BUILDS_DIR/go/$WHERE"}, {Key: "WHERE", Value: "src"}},
	}
	plan, err := Compile(j, Options{BuildsDir: "/builds"})
	if err != nil {
		t.Fatal(err)
	}
	if got := plan.Build.ProjectDir; got != "/builds/go/src" {
		t.Errorf("project directory %q, want /builds/go/src", got)
	}
}

func TestCompile(t *testing.T) {
	p, err := Compile(example(), options())
	if err != nil {
		t.Fatal(err)
	}
	if got, want := p.Image.Name, "registry.example.com/ci/go:1"; got != want {
		t.Errorf("image %q, want %q", got, want)
	}
	if got, want := p.Helper.ProjectDir, "/builds/demo/hello"; got != want {
		t.Errorf("project dir %q, want %q", got, want)
	}
	src := p.Helper.Sources
	if src.URL != "https://gitlab.example.com/demo/hello.git" || src.Username != "gitlab-ci-token" || src.Password != "job-token-1" {
		t.Errorf("sources: URL %q, user %q, password %q: want the credentials apart from the URL", src.URL, src.Username, src.Password)
	}
	if src.Strategy != StrategyFetch || src.Depth != 20 || !src.Checkout || src.Attempts != 1 {
		t.Errorf("sources = %+v", src)
	}
	if diff := cmp.Diff([]string{"job-token-1", "hunter22"}, p.Log.Masks); diff != "" {
		t.Errorf("masks (-want +got):\n%s", diff)
	}
	var names []string
	for _, s := range p.Build.Steps {
		names = append(names, s.Name)
	}
	if diff := cmp.Diff([]string{"script", "release", "after_script"}, names); diff != "" {
		t.Errorf("steps: after_script comes last (-want +got):\n%s", diff)
	}
	if got := p.Build.Steps[1].Script[0]; got != "release registry.example.com $HOME" {
		t.Errorf("release script %q: want it expanded", got)
	}
	if got := p.Build.Steps[0].Script[0]; got != "echo $SECRET" {
		t.Errorf("user script %q: want it left to the shell", got)
	}
	if got := Value(p.Build.Variables, "CERT"); got != "/builds/demo/hello.tmp/CERT" {
		t.Errorf("file variable in the build = %q, want its path", got)
	}
	if got := Value(p.Helper.Variables, "CERT"); got != "pem" {
		t.Errorf("file variable in the helper = %q, want its content", got)
	}
	for _, v := range p.Environment {
		if v.Key == "SECRET" || v.Key == "CERT" || v.Value == "job-token-1" {
			t.Errorf("pod spec shows %s", v.Key)
		}
	}
}

func TestVariablePrecedence(t *testing.T) {
	j := example()
	j.Variables = append(j.Variables,
		Variable{Key: "CI_SERVER", Value: "mine"},
		Variable{Key: "FROM_CONFIG", Value: "job"},
		Variable{Key: "CI_RUNNER_VERSION", Value: "faked"},
		Variable{Key: "FF_TIMESTAMPS", Value: "false"},
	)
	o := options()
	o.Environment = []Variable{{Key: "FROM_CONFIG", Value: "config"}}
	o.FeatureFlags = map[string]bool{"FF_SCRIPT_SECTIONS": true}
	p, err := Compile(j, o)
	if err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]string{
		"CI_SERVER":                 "mine", // jobs may override what the runner adds early
		"FROM_CONFIG":               "job",
		"CI_RUNNER_VERSION":         "1.2.3", // but not what it adds last
		"FF_TIMESTAMPS":             "false",
		"FF_SCRIPT_SECTIONS":        "true",
		"CI_DISPOSABLE_ENVIRONMENT": "true",
		"CI_PROJECT_DIR":            "/builds/demo/hello",
		"CI_JOB_TIMEOUT":            "3600",
	} {
		if got := Value(p.Build.Variables, key); got != want {
			t.Errorf("%s = %q, want %q", key, got, want)
		}
	}
	if p.Log.Timestamps {
		t.Error("FF_TIMESTAMPS=false leaves the time stamps on")
	}
}

func TestCompileRefuses(t *testing.T) {
	tests := []struct {
		name   string
		change func(*Job)
		reason Reason
		says   string
	}{
		{"no image", func(j *Job) { j.Image = Image{} }, RunnerConfigurationError, "names no image"},
		{"executor options", func(j *Job) { j.Image.Unsupported = []string{"docker.mount"} }, RunnerSystemFailure, "docker.mount"},
		{"run and script", func(j *Job) { j.Run = "[]" }, RunnerSystemFailure, "both run: and script:"},
		{"bad submodule strategy", func(j *Job) { j.Variables = []Variable{{Key: "GIT_SUBMODULE_STRATEGY", Value: "deep"}} }, RunnerConfigurationError, `"deep"`},
		{"clone path outside", func(j *Job) { j.Variables = []Variable{{Key: "GIT_CLONE_PATH", Value: "$CI_BUILDS_DIR/../x"}} }, RunnerConfigurationError, "outside the builds directory"},
		{"repo_url", func(j *Job) { j.Git.RepoURL = "http://u:job-token-1@\x7f/" }, RunnerSystemFailure, "repo_url"},
		{"artifact format", func(j *Job) { j.Artifacts = []Artifact{{Paths: []string{"a"}, Format: "rar"}} }, RunnerConfigurationError, `"rar"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			j := example()
			tt.change(j)
			_, err := Compile(j, options())
			var f *Failure
			if !errors.As(err, &f) {
				t.Fatalf("Compile: %v, want a Failure", err)
			}
			if f.Reason != tt.reason || !strings.Contains(f.Message, tt.says) {
				t.Errorf("Compile refused with %s: %q; want %s saying %q", f.Reason, f.Message, tt.reason, tt.says)
			}
			if strings.Contains(f.Message, "job-token-1") {
				t.Errorf("message %q shows the job token", f.Message)
			}
		})
	}
}

func TestWrongSettingsWarn(t *testing.T) {
	j := example()
	j.Variables = append(j.Variables,
		Variable{Key: "GIT_STRATEGY", Value: "rsync"},
		Variable{Key: "GET_SOURCES_ATTEMPTS", Value: "99"},
		Variable{Key: "RUNNER_SCRIPT_TIMEOUT", Value: "soon"},
		Variable{Key: "GIT_CHECKOUT", Value: "maybe"},
		Variable{Key: "KUBERNETES_BEARER_TOKEN", Value: "4"},
	)
	j.Caches = []Cache{{Key: "deps", Paths: []string{"vendor"}, When: "never"}}
	p, err := Compile(j, options())
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"GIT_STRATEGY", "GET_SOURCES_ATTEMPTS", "RUNNER_SCRIPT_TIMEOUT", "GIT_CHECKOUT", "KUBERNETES_BEARER_TOKEN", `"deps"`} {
		if !slices.ContainsFunc(p.Helper.Warnings, func(w string) bool { return strings.Contains(w, want) }) {
			t.Errorf("no warning names %s: %q", want, p.Helper.Warnings)
		}
	}
	if src := p.Helper.Sources; src.Strategy != StrategyFetch || src.Attempts != 10 || !src.Checkout {
		t.Errorf("settings after warnings: %+v", src)
	}
}

func TestStepTimeouts(t *testing.T) {
	j := example()
	j.Timeout = 10 * time.Minute
	j.Variables = []Variable{{Key: "REGISTRY", Value: "r"}, {Key: "RUNNER_SCRIPT_TIMEOUT", Value: "2m"}}
	p, err := Compile(j, options())
	if err != nil {
		t.Fatal(err)
	}
	if got := p.Helper.Steps[0].Timeout; got != 2*time.Minute {
		t.Errorf("script timeout %v, want 2m", got)
	}
	if got := p.Helper.Steps[2]; !got.After || got.Timeout != 5*time.Minute {
		t.Errorf("after_script = %+v, want 5m", got)
	}
}

func TestSecretNeverShows(t *testing.T) {
	s := Secret("glrt-abc")
	text, err := s.MarshalText()
	if err != nil {
		t.Fatal(err)
	}
	for _, shown := range []string{s.String(), s.GoString(), string(text)} {
		if strings.Contains(shown, "abc") {
			t.Errorf("secret shows as %q", shown)
		}
	}
	if s.Reveal() != "glrt-abc" {
		t.Errorf("Reveal() = %q", s.Reveal())
	}
}
