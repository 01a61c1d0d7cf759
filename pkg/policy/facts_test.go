package policy

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/runnerd/runnerd/pkg/job"
)

func vars(pairs ...string) []job.Variable {
	var list []job.Variable
	for i := 0; i < len(pairs); i += 2 {
		list = append(list, job.Variable{Key: pairs[i], Value: pairs[i+1]})
	}
	return list
}

func TestFullRef(t *testing.T) {
	tests := []struct {
		name           string
		git            job.Git
		ref, kind, own string
	}{
		{"branch", job.Git{Ref: "main", RefType: "branch", Refspecs: []string{"+refs/heads/main:refs/remotes/origin/main"}}, "refs/heads/main", KindBranch, "main"},
		{"tag", job.Git{Ref: "main", RefType: "tag", Refspecs: []string{"+refs/tags/main:refs/tags/main"}}, "refs/tags/main", KindTag, "main"},
		{"merge request", job.Git{Ref: "refs/merge-requests/17/head", RefType: "branch", Refspecs: []string{"+abc:refs/pipelines/5033"}}, "refs/merge-requests/17/head", KindMergeRequest, "refs/merge-requests/17/head"},
		{"branch that is called like a merge request", job.Git{Ref: "refs/merge-requests/17/head", RefType: "branch", Refspecs: []string{"+abc:refs/pipelines/1", "+refs/heads/refs/merge-requests/17/head:refs/remotes/origin/refs/merge-requests/17/head"}}, "refs/heads/refs/merge-requests/17/head", KindBranch, "refs/merge-requests/17/head"},
		{"merge request with its whole history", job.Git{Ref: "refs/merge-requests/17/head", RefType: "branch", Refspecs: []string{"+refs/heads/*:refs/remotes/origin/*", "+refs/tags/*:refs/tags/*"}}, "refs/merge-requests/17/head", KindMergeRequest, "refs/merge-requests/17/head"},
		{"branch that is called like a tag's ref", job.Git{Ref: "refs/tags/v1", RefType: "branch"}, "refs/heads/refs/tags/v1", KindBranch, "refs/tags/v1"},
		{"tag that is called like a branch's ref", job.Git{Ref: "refs/heads/main", RefType: "tag"}, "refs/tags/refs/heads/main", KindTag, "refs/heads/main"},
		{"no type", job.Git{Ref: "main"}, "refs/heads/main", KindBranch, "main"},
	}
	for _, tt := range tests {
		var f Facts
		f.Ref, f.OtherRef = fullRef(&job.Job{Git: tt.git})
		kind, own := f.RefName()
		if f.OtherRef != "" || f.Ref != tt.ref || kind != tt.kind || own != tt.own {
			t.Errorf("%s: %q, %s %q; want %q, %s %q", tt.name, f.Ref, kind, own, tt.ref, tt.kind, tt.own)
		}
	}
}

// TestAmbiguousRef: with the whole history GitLab's refspecs do not tell a merge
// request from a branch that is called like its ref, and a variable may be the
// author's.
func TestAmbiguousRef(t *testing.T) {
	j := &job.Job{
		Git:       job.Git{Ref: "refs/merge-requests/17/head", RefType: "branch", Refspecs: []string{"+refs/heads/*:refs/remotes/origin/*"}},
		Variables: vars("CI_COMMIT_BRANCH", "refs/merge-requests/17/head"),
	}
	f := FactsOf(j, &job.Plan{Image: job.Image{Name: "ruby"}})
	for _, rule := range []Rule{
		{Refs: []string{"**"}},
		{Refs: []string{"refs/merge-requests/**"}},
		{Expression: `ref_kind == "branch"`},
		{Expression: `ref_kind == "merge_request"`},
		{Expression: `ref.startsWith("refs/heads/")`},
	} {
		rule.Name, rule.Action = "r", Allow
		if r := rules(t, Config{Rules: []Rule{rule}, DefaultDeny: true}); !r.Decide(f).Denied() {
			t.Errorf("%v%s allows what may be something else", rule.Refs, rule.Expression)
		}
		rule.Action = Deny
		if r := rules(t, Config{Rules: []Rule{rule}}); !r.Decide(f).Denied() {
			t.Errorf("%v%s does not deny what may be that", rule.Refs, rule.Expression)
		}
	}
}

// TestFactsOf: nothing that a job's author can set is certain.
func TestFactsOf(t *testing.T) {
	mr := job.Git{Ref: "refs/merge-requests/1/head", RefType: "branch"}
	tests := []struct {
		name string
		job  job.Job
		got  func(Facts) string
		want string
	}{
		{"source", job.Job{Variables: vars("CI_PIPELINE_SOURCE", "push")}, func(f Facts) string { return f.Source.String() }, `"push"`},
		{"source set again to the same", job.Job{Variables: vars("CI_PIPELINE_SOURCE", "push", "CI_PIPELINE_SOURCE", "push")}, func(f Facts) string { return f.Source.String() }, `"push"`},
		{"source overridden", job.Job{Variables: vars("CI_PIPELINE_SOURCE", "push", "CI_PIPELINE_SOURCE", "web")}, func(f Facts) string { return f.Source.String() }, `unknown (CI_PIPELINE_SOURCE is set by the job as well: "push", "web")`},
		{"source missing", job.Job{}, func(f Facts) string { return f.Source.String() }, "unknown (GitLab did not send CI_PIPELINE_SOURCE)"},
		{"user of a job that has none", job.Job{UserID: 0, Variables: vars("GITLAB_USER_LOGIN", "root")}, func(f Facts) string { return f.User.String() }, "unknown (GitLab names no user)"},
		{"user overridden before GitLab's own", job.Job{UserID: 3, Variables: vars("GITLAB_USER_LOGIN", "root", "GITLAB_USER_LOGIN", "eve")}, func(f Facts) string { return f.User.String() }, `unknown (GITLAB_USER_LOGIN is set by the job as well: "root", "eve")`},
		{"no environment", job.Job{}, func(f Facts) string { return f.Environment.String() }, `""`},
		{"claimed environment", job.Job{Variables: vars("CI_ENVIRONMENT_NAME", "production")}, func(f Facts) string { return f.Environment.String() }, `unknown (CI_ENVIRONMENT_NAME says "production", but a job's author can set it)`},
		{"protected", job.Job{Git: job.Git{Protected: job.True}}, func(f Facts) string { return f.Protected.String() }, "true"},
		{"protected is not said", job.Job{}, func(f Facts) string { return f.Protected.String() }, "unknown (GitLab does not say it, or a variable contradicts it)"},
		{"no merge request", job.Job{ProjectID: 7}, func(f Facts) string { return f.Fork.String() }, "false"},
		{"merge request of the project itself", job.Job{ProjectID: 7, Git: mr, Variables: vars("CI_MERGE_REQUEST_SOURCE_PROJECT_ID", "7")}, func(f Facts) string { return f.Fork.String() }, "false"},
		{"merge request from a fork", job.Job{ProjectID: 7, Git: mr, Variables: vars("CI_MERGE_REQUEST_SOURCE_PROJECT_ID", "8")}, func(f Facts) string { return f.Fork.String() }, "true"},
		{"merge request from a fork that hides it", job.Job{ProjectID: 7, Git: mr, Variables: vars("CI_MERGE_REQUEST_SOURCE_PROJECT_ID", "8", "CI_MERGE_REQUEST_SOURCE_PROJECT_ID", "7")}, func(f Facts) string { return f.Fork.String() }, `unknown (CI_MERGE_REQUEST_SOURCE_PROJECT_ID is set by the job: "8", "7")`},
		{"branch that says to be a fork's", job.Job{ProjectID: 7, Git: job.Git{Ref: "main", RefType: "branch"}, Variables: vars("CI_MERGE_REQUEST_SOURCE_PROJECT_ID", "8")}, func(f Facts) string { return f.Fork.String() }, `unknown (CI_MERGE_REQUEST_SOURCE_PROJECT_ID is set by the job: "8")`},
		{"merge request of nobody knows whom", job.Job{ProjectID: 7, Git: mr}, func(f Facts) string { return f.Fork.String() }, "unknown (GitLab did not send CI_MERGE_REQUEST_SOURCE_PROJECT_ID)"},
	}
	for _, tt := range tests {
		if got := tt.got(FactsOf(&tt.job, &job.Plan{})); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}

func TestFactsOfImages(t *testing.T) {
	plan := &job.Plan{
		Image: job.Image{Name: "ruby", User: "1000"},
		Services: []job.Service{
			{Image: job.Image{Name: "proxy"}, Configured: true},
			{Image: job.Image{Name: "redis"}},
		},
	}
	f := FactsOf(&job.Job{}, plan)
	if diff := cmp.Diff(Image{Name: "ruby", User: "1000", Service: Build}, f.Image); diff != "" {
		t.Errorf("image (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]Image{{Name: "redis", Service: 1}}, f.Services); diff != "" {
		t.Errorf("services (-want +got):\n%s", diff)
	}
}

func TestReference(t *testing.T) {
	tests := []struct{ name, digest, want string }{
		{"ruby:3", "", "ruby:3"},
		{"ruby:3", digest, "docker.io/library/ruby@" + digest},
		{"registry.example.com:5000/a/b", digest, "registry.example.com:5000/a/b@" + digest},
	}
	for _, tt := range tests {
		if got := (Image{Name: tt.name, Digest: tt.digest}).Reference(); got != tt.want {
			t.Errorf("reference of %q is %q, want %q", tt.name, got, tt.want)
		}
	}
}
