package job_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/runnerd/runnerd/pkg/job"
)

func TestServiceChecks(t *testing.T) {
	port := func(value string) []job.Variable { return []job.Variable{{Key: "HEALTHCHECK_TCP_PORT", Value: value}} }
	declared := []job.Port{{Number: 80}, {Number: 443}, {Number: 80}}
	j := &job.Job{
		Timeout: time.Hour, Git: job.Git{RepoURL: "https://gitlab.example.com/g/p.git"},
		Variables: []job.Variable{
			{Key: "HEALTHCHECK_TCP_PORT", Value: "1"}, // the job's own says nothing of its services
			{Key: "PORT", Value: "5432"},
		},
		Services: []job.Service{
			{Image: job.Image{Name: "postgres:16"}, Aliases: []string{"db", "sql"}, Variables: port("$PORT")},
			{Image: job.Image{Name: "redis"}},
			{Image: job.Image{Name: "web"}, Ports: declared},
			{Image: job.Image{Name: "web"}, Ports: declared, Variables: port("8080")},
			{Image: job.Image{Name: "bad"}, Variables: port("70000")},
			{Image: job.Image{Name: "worse"}, Variables: port("http"), Ports: []job.Port{{Number: -1}}},
		},
	}
	plan, err := job.Compile(j, job.Options{BuildsDir: "/builds", DefaultImage: "debian", Executor: "kubernetes"})
	if err != nil {
		t.Fatal(err)
	}
	const limit = 30 * time.Second
	want := []job.ServiceCheck{
		{Name: "db", Ports: []int{5432}, Timeout: limit},
		{Name: "web", Ports: []int{80, 443}, Timeout: limit},
		{Name: "web#2", Ports: []int{8080}, Timeout: limit},
	}
	if diff := cmp.Diff(want, plan.Helper.Services); diff != "" {
		t.Errorf("checks (-want +got):\n%s", diff)
	}
	text := strings.Join(plan.Helper.Warnings, "\n")
	for _, w := range []string{`bad: HEALTHCHECK_TCP_PORT="70000"`, `worse: HEALTHCHECK_TCP_PORT="http"`, `worse: ports: number="-1"`} {
		if strings.Count(text, w) != 1 {
			t.Errorf("warnings %q, want %q in them once", text, w)
		}
	}
}

func TestDebugServices(t *testing.T) {
	for _, tt := range []struct{ disabled, want bool }{{false, true}, {true, false}} {
		j := &job.Job{
			Timeout: time.Hour, Git: job.Git{RepoURL: "https://gitlab.example.com/g/p.git"},
			Variables: []job.Variable{{Key: "CI_DEBUG_SERVICES", Value: "true"}},
		}
		plan, err := job.Compile(j, job.Options{BuildsDir: "/builds", DefaultImage: "debian", DebugTraceDisabled: tt.disabled})
		if err != nil {
			t.Fatal(err)
		}
		warned := strings.Contains(strings.Join(plan.Helper.Warnings, "\n"), "CI_DEBUG_SERVICES is switched off")
		if plan.Debug != tt.want || plan.Build.Debug || warned != tt.disabled {
			t.Errorf("disabled %t: debug %t, xtrace %t, warned %t", tt.disabled, plan.Debug, plan.Build.Debug, warned)
		}
	}
}
