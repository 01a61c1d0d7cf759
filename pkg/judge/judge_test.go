package judge

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/runnerd/runnerd/pkg/executor"
	"github.com/runnerd/runnerd/pkg/job"
	"github.com/runnerd/runnerd/pkg/policy"
)

const hex = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

// A knowing GitLab has one protected branch, and one job that deploys.
type knowing struct {
	away  error
	asked chan string
}

func (k knowing) note(what string) error {
	if k.asked != nil {
		k.asked <- what
	}
	return k.away
}

func (k knowing) RefProtected(_ context.Context, _ int64, name, kind string) (bool, error) {
	return name == "main" && kind == policy.KindBranch, k.note("protected")
}

func (k knowing) EnvironmentProtected(_ context.Context, _ int64, environment string) (bool, error) {
	return environment == "production", k.note("environment protected")
}

func (k knowing) DeploysTo(_ context.Context, _, jobID int64, environment string) (bool, error) {
	return jobID == 1 && environment == "production", k.note("deploys")
}

func (k knowing) Job(context.Context, int64, int64) (tags []string, user string, err error) {
	return []string{"gpu"}, "alice", k.note("job")
}

// A shelf of images, of which ruby is signed.
type shelf struct {
	mu      sync.Mutex
	asked   []string
	missing bool
}

func (s *shelf) Resolve(_ context.Context, image string, _ []job.Credential) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = append(s.asked, image)
	if s.missing {
		return "", job.Failf(job.ImagePullFailure, "image %q: there is none", image)
	}
	return hex, nil
}

func (s *shelf) Signed(_ context.Context, image, _ string, _ []job.Credential, _ int) (string, error) {
	if strings.HasPrefix(image, "docker.io/library/ruby:") {
		return "ci.pub", nil
	}
	return "", errors.New("there is no signature")
}

// A book of events.
type book struct {
	mu   sync.Mutex
	seen []policy.Decision
}

func (b *book) Record(_ context.Context, _ *job.Plan, d policy.Decision) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.seen = append(b.seen, d)
	return nil
}

func rules(t *testing.T, c policy.Config) *policy.Rules {
	t.Helper()
	r, err := policy.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func theJob() (*job.Job, *job.Plan) {
	j := &job.Job{
		ID: 1, ProjectID: 7, ProjectPath: "group/shop", Name: "deploy", UserID: 3,
		Git: job.Git{Ref: "main", RefType: "branch", Protected: job.True},
		Variables: []job.Variable{
			{Key: "CI_PIPELINE_SOURCE", Value: "push"},
			{Key: "GITLAB_USER_LOGIN", Value: "alice"},
			{Key: "CI_ENVIRONMENT_NAME", Value: "production"},
		},
	}
	return j, &job.Plan{
		Image:    job.Image{Name: "ruby:3"},
		Services: []job.Service{{Image: job.Image{Name: "proxy"}, Configured: true}, {Image: job.Image{Name: "redis:7"}}},
	}
}

// TestAsks: GitLab is asked for what the rules go by, and for nothing else.
func TestAsks(t *testing.T) {
	tests := []struct {
		name   string
		config policy.Config
		want   []string
	}{
		{"nothing", policy.Config{}, nil},
		{"protected refs", policy.Config{ProtectedOnly: true}, []string{"protected"}},
		{"environment", policy.Config{Rules: []policy.Rule{{Name: "a", Action: policy.Deny, Environments: []string{"x"}}}}, []string{"deploys"}},
		{"protection of the environment", policy.Config{Rules: []policy.Rule{{Name: "a", Action: policy.Deny, EnvironmentProtected: job.False}}}, []string{"deploys", "environment protected"}},
		{"tags and user at once", policy.Config{Rules: []policy.Rule{{Name: "a", Action: policy.Deny, Tags: []string{"x"}, Users: []string{"y"}}}}, []string{"job"}},
		{"an expression", policy.Config{Rules: []policy.Rule{{Name: "a", Action: policy.Deny, Expression: `!protected`}}}, []string{"protected"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.config.AsksGitLab = true
			asked := make(chan string, 10)
			j := New(Options{Rules: rules(t, tt.config), GitLab: knowing{asked: asked}, Log: zap.NewNop()})
			jb, plan := theJob()
			if v, err := j.Judge(t.Context(), jb, plan); err != nil || v.Denied() {
				t.Errorf("verdict = %+v, %v", v.Decision, err)
			}
			close(asked)
			var got []string
			for what := range asked {
				got = append(got, what)
			}
			slices.Sort(got)
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("asked (-want +got):\n%s", diff)
			}
		})
	}
}

// TestGitLabAway: what needs to be certain and is not, is denied, and the reason
// says that GitLab did not answer.
func TestGitLabAway(t *testing.T) {
	for name, config := range map[string]policy.Config{
		"protected":   {ProtectedOnly: true},
		"environment": {DefaultDeny: true, Rules: []policy.Rule{{Name: "a", Action: policy.Allow, Environments: []string{"production"}}}},
		"user":        {Rules: []policy.Rule{{Name: "a", Action: policy.Deny, Users: []string{"eve"}}}},
		"tags":        {Rules: []policy.Rule{{Name: "a", Action: policy.Deny, Tags: []string{"x"}}}},
	} {
		config.AsksGitLab = true
		j := New(Options{Rules: rules(t, config), GitLab: knowing{away: errors.New("503 Service Unavailable")}, Log: zap.NewNop()})
		jb, plan := theJob()
		v, err := j.Judge(t.Context(), jb, plan)
		if err != nil || !v.Denied() {
			t.Errorf("%s: verdict = %+v, %v, want a denial", name, v.Decision, err)
		}
		if text := strings.Join(v.Lines(), "\n"); name != "tags" && !strings.Contains(text, "503") {
			t.Errorf("%s: the log does not say why:\n%s", name, text)
		}
	}
}

func TestWhatGitLabSaysCounts(t *testing.T) {
	asks := policy.Config{AsksGitLab: true, ProtectedOnly: true}
	j := New(Options{Rules: rules(t, asks), GitLab: knowing{}, Log: zap.NewNop()})
	for ref, denied := range map[string]bool{"main": false, "other": true} {
		jb, plan := theJob()
		jb.Git.Ref = ref
		if v, _ := j.Judge(t.Context(), jb, plan); v.Denied() != denied {
			t.Errorf("ref %q, which the payload calls protected: denied = %v (%s)", ref, v.Denied(), v.Reason)
		}
	}
	jb, plan := theJob()
	jb.Git.Ref = "refs/merge-requests/1/head"
	if v, _ := j.Judge(t.Context(), jb, plan); !v.Denied() {
		t.Error("a merge request's ref passes for a protected branch")
	}
	claims := rules(t, policy.Config{AsksGitLab: true, DefaultDeny: true, Rules: []policy.Rule{{Name: "a", Action: policy.Allow, Environments: []string{"production"}}}})
	j = New(Options{Rules: claims, GitLab: knowing{}, Log: zap.NewNop()})
	jb, plan = theJob()
	jb.ID = 2
	if v, _ := j.Judge(t.Context(), jb, plan); !v.Denied() {
		t.Error("a job that is no deployment passes for one")
	}
	// An environment without a deployment (action: access) is still one.
	denies := rules(t, policy.Config{AsksGitLab: true, Rules: []policy.Rule{
		{Name: "a", Action: policy.Deny, Environments: []string{"production"}}, {Name: "b", Action: policy.Deny, EnvironmentProtected: job.True},
	}})
	if v, _ := New(Options{Rules: denies, GitLab: knowing{}, Log: zap.NewNop()}).Judge(t.Context(), jb, plan); v.Rule != "a" || !v.Denied() {
		t.Errorf("a job that may have the environment: %s by %s", v.Outcome(), v.Rule)
	}
	byProtection := rules(t, policy.Config{AsksGitLab: true, Rules: []policy.Rule{{Name: "b", Action: policy.Deny, EnvironmentProtected: job.True}}})
	if v, _ := New(Options{Rules: byProtection, GitLab: knowing{}, Log: zap.NewNop()}).Judge(t.Context(), jb, plan); !v.Denied() {
		t.Error("a job that may have the protected environment passes")
	}
	for range 5 {
		jb.Variables = append(jb.Variables, job.Variable{Key: "CI_ENVIRONMENT_NAME", Value: strings.Repeat("x", len(jb.Variables))})
	}
	if v, _ := j.Judge(t.Context(), jb, plan); !v.Denied() || !strings.Contains(v.Fact, "more than 4") {
		t.Errorf("a job that names many environments: %+v", v.Decision)
	}
}

func TestPins(t *testing.T) {
	s := &shelf{}
	j := New(Options{
		Rules:    rules(t, policy.Config{Pins: true, Signatures: [][]string{{"ruby"}}, AllowedServices: []string{"redis@" + hex}}),
		Registry: s, Log: zap.NewNop(),
	})
	jb, plan := theJob()
	v, err := j.Judge(t.Context(), jb, plan)
	if err != nil || v.Denied() {
		t.Fatalf("verdict = %+v, %v", v.Decision, err)
	}
	if plan.Image.Pinned != "docker.io/library/ruby@"+hex || plan.Services[1].Pinned != "docker.io/library/redis@"+hex || plan.Services[0].Pinned != "" {
		t.Errorf("pinned: %q, %q, and the operator's %q", plan.Image.Pinned, plan.Services[1].Pinned, plan.Services[0].Pinned)
	}
	want := []string{
		"Image ruby:3 is docker.io/library/ruby@" + hex + ", signed by ci.pub",
		"Image redis:7 is docker.io/library/redis@" + hex,
	}
	if diff := cmp.Diff(want, v.Notes); diff != "" {
		t.Errorf("notes (-want +got):\n%s", diff)
	}
	planned := []executor.Container{{Service: -1, Image: plan.Image.Reference()}, {Service: 1, Image: plan.Services[1].Reference()}}
	if d := j.Admit(t.Context(), jb, plan, v, planned); d.Denied() {
		t.Errorf("the pod as it was planned: %s", d.Reason)
	}
	if d := j.Admit(t.Context(), jb, plan, v, []executor.Container{{Service: -1, Image: "ruby:3"}}); !d.Denied() || d.Rule != policy.RuleSignatures {
		t.Errorf("a pod that runs the tag in place of the digest: %+v", d)
	}
}

func TestUnsigned(t *testing.T) {
	j := New(Options{Rules: rules(t, policy.Config{Signatures: [][]string{{"**"}}}), Registry: &shelf{}, Log: zap.NewNop()})
	jb, plan := theJob()
	v, err := j.Judge(t.Context(), jb, plan)
	if err != nil || v.Rule != policy.RuleSignatures || !strings.Contains(v.Reason, "there is no signature") || !strings.Contains(v.Reason, "redis:7") {
		t.Errorf("verdict = %+v, %v", v.Decision, err)
	}
}

// TestNoTalkAboutDeniedImages: a registry hears nothing of an image that is
// denied by its name.
func TestNoTalkAboutDeniedImages(t *testing.T) {
	s := &shelf{}
	j := New(Options{Rules: rules(t, policy.Config{Pins: true, AllowedImages: []string{"go:*"}}), Registry: s, Log: zap.NewNop()})
	jb, plan := theJob()
	if v, err := j.Judge(t.Context(), jb, plan); err != nil || !v.Denied() || s.asked != nil {
		t.Errorf("verdict = %+v, %v; asked for %q", v.Decision, err, s.asked)
	}
}

func TestImageThatCannotBeResolved(t *testing.T) {
	jb, plan := theJob()
	config := policy.Config{Pins: true}
	j := New(Options{Rules: rules(t, config), Registry: &shelf{missing: true}, Log: zap.NewNop()})
	_, err := j.Judge(t.Context(), jb, plan)
	if f, ok := errors.AsType[*job.Failure](err); !ok || f.Reason != job.ImagePullFailure {
		t.Errorf("error = %v, want the registry's failure", err)
	}
	config.Audit = true
	j = New(Options{Rules: rules(t, config), Registry: &shelf{missing: true}, Log: zap.NewNop()})
	v, err := j.Judge(t.Context(), jb, plan)
	if err != nil || v.Denied() || plan.Image.Pinned != "" || len(v.Notes) != 2 {
		t.Errorf("audit: verdict = %+v, %v, pinned %q, notes %q", v.Decision, err, plan.Image.Pinned, v.Notes)
	}
}

// TestWritesDown: a line, a count and an event, in which secrets are masked.
func TestWritesDown(t *testing.T) {
	core, lines := observer.New(zapcore.InfoLevel)
	events := &book{}
	var counted []string
	j := New(Options{
		Rules:    rules(t, policy.Config{AllowedImages: []string{"go:*"}, Rules: []policy.Rule{{Name: "a", Action: policy.Allow}}}),
		Recorder: events, Log: zap.New(core),
		Count: func(outcome, rule string, _ time.Duration) { counted = append(counted, outcome+" by "+rule) },
	})
	jb, plan := theJob()
	plan.Image.Name, plan.Services = "registry/s3cr3t", nil
	jb.Variables = append(jb.Variables, job.Variable{Key: "CI_PIPELINE_SOURCE", Value: `qu"oted`})
	plan.Log.Masks = []string{"s3cr3t", `qu"oted`}
	if _, err := j.Judge(t.Context(), jb, plan); err != nil {
		t.Fatal(err)
	}
	plan.Image.Name = "go:1"
	if _, err := j.Judge(t.Context(), jb, plan); err != nil {
		t.Fatal(err)
	}
	j.Wait()
	if diff := cmp.Diff([]string{"denied by allowed_images", "allowed by a"}, counted); diff != "" {
		t.Errorf("counted (-want +got):\n%s", diff)
	}
	logged := lines.All()
	if len(logged) != 2 || logged[0].Message != "policy decision" || logged[0].Level != zapcore.WarnLevel || logged[1].Level != zapcore.InfoLevel {
		t.Fatalf("logged: %v", logged)
	}
	fields := logged[0].ContextMap()
	for key, want := range map[string]any{
		"outcome": "denied", "rule": "allowed_images", "project_path": "group/shop", "ref": "main", "ref_kind": "branch",
		"protected": "true", "user": "alice", "source": `unknown (CI_PIPELINE_SOURCE is set by the job as well: "push", "[MASKED]")`, "image": "registry/[MASKED]",
	} {
		if fields[key] != want {
			t.Errorf("audit line: %s = %v, want %v", key, fields[key], want)
		}
	}
	for _, d := range events.seen {
		if strings.Contains(d.Reason+d.Fact, "s3cr3t") {
			t.Errorf("an event shows a secret: %+v", d)
		}
	}
	if len(events.seen) != 2 {
		t.Errorf("%d events, want 2", len(events.seen))
	}
}

// TestAdmit: a pod that is not what was judged is denied, and that is written
// down as any other decision.
func TestAdmit(t *testing.T) {
	core, lines := observer.New(zapcore.InfoLevel)
	events := &book{}
	j := New(Options{Rules: rules(t, policy.Config{AllowedImages: []string{"ruby:*"}}), Recorder: events, Log: zap.New(core)})
	jb, plan := theJob()
	v, err := j.Judge(t.Context(), jb, plan)
	if err != nil || v.Denied() {
		t.Fatalf("verdict = %+v, %v", v.Decision, err)
	}
	d := j.Admit(t.Context(), jb, plan, v, []executor.Container{{Service: -1, Image: "evil/miner"}})
	j.Wait()
	if !d.Denied() || d.Rule != policy.RuleImages {
		t.Errorf("decision = %+v", d)
	}
	logged := lines.All()
	if len(logged) != 2 || logged[1].ContextMap()["outcome"] != "denied" || logged[1].ContextMap()["job"] != int64(1) || len(events.seen) != 2 {
		t.Errorf("logged %v, %d events", logged, len(events.seen))
	}
}

// TestShape: the plan is what the decision says.
func TestShape(t *testing.T) {
	r := rules(t, policy.Config{Rules: []policy.Rule{{Name: "a", Action: policy.Shape, Protected: job.True, Placement: job.Placement{Namespace: "deploy"}}}})
	j := New(Options{Rules: r, NetworkTier: "default", Log: zap.NewNop()})
	jb, plan := theJob()
	if _, err := j.Judge(t.Context(), jb, plan); err != nil || plan.Placement.Namespace != "deploy" || plan.Placement.NetworkTier != "default" {
		t.Errorf("placement = %+v, %v", plan.Placement, err)
	}
	jb.Git.Protected = job.False
	if _, err := j.Judge(t.Context(), jb, plan); err != nil || plan.Placement.Namespace != "" {
		t.Errorf("placement of another job = %+v, %v", plan.Placement, err)
	}
}
