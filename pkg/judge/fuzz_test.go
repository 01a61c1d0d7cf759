package judge

import (
	"testing"

	"github.com/runnerd/runnerd/internal/policycase"
	"github.com/runnerd/runnerd/pkg/gitlab"
	"github.com/runnerd/runnerd/pkg/job"
	"github.com/runnerd/runnerd/pkg/policy"
)

// FuzzPayload: no payload makes a panic on its way to a decision, and none whose
// ref is not protected passes protected_refs_only.
func FuzzPayload(f *testing.F) {
	for _, c := range []policycase.Case{
		{},
		{Job: policycase.Job{Fork: true, Ref: "refs/merge-requests/1/head", Services: []string{"redis", "$X"}}},
		{Job: policycase.Job{Ref: "refs/tags/v1"}, Remove: []string{"git_info.protected"}, Variables: []policycase.Variable{{Key: "CI_COMMIT_REF_PROTECTED", Value: "true"}}},
	} {
		payload, err := c.Payload("")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(payload)
	}
	f.Add([]byte(`{"id":1,"token":"t"}`))
	rules, err := policy.New(policy.Config{
		ProtectedOnly: true, AllowedImages: []string{"**"}, DeniedServices: []string{"miner"}, DefaultDeny: true,
		Rules: []policy.Rule{
			{Name: "forks", Action: policy.Deny, Forks: job.True},
			{Name: "users", Action: policy.Allow, Users: []string{"*"}, Sources: []string{"*"}, Images: []string{"**"}},
			{Name: "expression", Action: policy.Allow, Expression: `images.all(i, i.contains("/")) && ref_name.size() > 0`},
		},
	})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		j, err := gitlab.DecodeJob(payload)
		if err != nil {
			return
		}
		plan, err := job.Compile(j, job.Options{Executor: "kubernetes", DefaultImage: "debian", BuildsDir: "/builds"})
		if err != nil {
			return
		}
		facts := policy.FactsOf(j, plan)
		d := rules.Decide(facts)
		rules.Screen(facts)
		rules.Explain(facts)
		if j.Git.Protected != job.True && !d.Denied() {
			t.Errorf("a job of ref %q is %s by %s", j.Git.Ref, d.Outcome(), d.Rule)
		}
	})
}
