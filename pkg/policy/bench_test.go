package policy

import (
	"fmt"
	"testing"

	"github.com/bmatcuk/doublestar/v4"

	"github.com/runnerd/runnerd/pkg/job"
)

// A runner as a platform team has it: lists, twenty rules of which the last
// decides, three of them expressions.
func largeConfig() Config {
	c := Config{
		ProtectedOnly: true, DefaultDeny: true,
		AllowedImages:   []string{"registry.example.com/ci/**", "debian:*", "golang:1.*", "ruby:{2,3}.*"},
		AllowedServices: []string{"postgres:*", "redis:7"},
		DeniedImages:    []string{"**/miner", "**/*-debug"},
	}
	for i := range 16 {
		c.Rules = append(c.Rules, Rule{
			Name: fmt.Sprint("rule ", i), Action: Allow, Projects: []string{fmt.Sprintf("team-%d/**", i)},
			Refs: []string{"main", "release/*"}, Sources: []string{"push", "web"},
		})
	}
	for i := range 3 {
		c.Rules = append(c.Rules, Rule{
			Name: fmt.Sprint("expression ", i), Action: Deny,
			Expression: fmt.Sprintf(`project.startsWith("evil-%d/") || images.exists(i, i.endsWith("/miner:latest"))`, i),
		})
	}
	c.Rules = append(c.Rules, Rule{Name: "all of retail", Action: Shape, Projects: []string{"retail/**"}, Placement: job.Placement{Namespace: "retail"}})
	return c
}

func largeJob() (*job.Job, *job.Plan) {
	j := &job.Job{
		ID: 1, ProjectID: 78, ProjectPath: "retail/web/shop", Name: "integration 1/2", Stage: "verify", UserID: 9,
		Git: job.Git{Ref: "main", RefType: "branch", Protected: job.True, Refspecs: []string{"+refs/heads/main:refs/remotes/origin/main"}},
	}
	for i := range 150 {
		j.Variables = append(j.Variables, job.Variable{Key: fmt.Sprint("VARIABLE_", i), Value: "value"})
	}
	j.Variables = append(j.Variables, vars("CI_PIPELINE_SOURCE", "push", "GITLAB_USER_LOGIN", "alice")...)
	return j, &job.Plan{
		Image:    job.Image{Name: "registry.example.com/ci/build/ruby:3.4"},
		Services: []job.Service{{Image: job.Image{Name: "postgres:16"}}, {Image: job.Image{Name: "redis:7"}}},
	}
}

// BenchmarkDecide is one decision, from the payload's facts on. The target is
// 10,000 a second on one core.
func BenchmarkDecide(b *testing.B) {
	r, err := New(largeConfig())
	if err != nil {
		b.Fatal(err)
	}
	j, plan := largeJob()
	b.ReportAllocs()
	for b.Loop() {
		if d := r.Decide(FactsOf(j, plan)); d.Action != Shape {
			b.Fatalf("decision = %+v", d)
		}
	}
	rate := float64(b.N) / b.Elapsed().Seconds()
	b.ReportMetric(rate, "decisions/s")
	if b.N > 1000 && rate < 10_000 {
		b.Errorf("%.0f decisions/s, want 10,000", rate)
	}
}

// BenchmarkPlainGlobs is the reference: each name against each pattern of the
// same lists, as text, which decides much less.
func BenchmarkPlainGlobs(b *testing.B) {
	c := largeConfig()
	_, plan := largeJob()
	for b.Loop() {
		for _, list := range [][]string{c.AllowedImages, c.DeniedImages, c.AllowedServices} {
			for _, pattern := range list {
				for _, name := range []string{plan.Image.Name, plan.Services[0].Name, plan.Services[1].Name} {
					doublestar.MatchUnvalidated(pattern, name)
				}
			}
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "decisions/s")
}
