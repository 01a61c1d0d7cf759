//go:build e2e

package e2e

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/runnerd/runnerd/internal/policycase"
	"github.com/runnerd/runnerd/internal/standin"
)

// TestEvasion: every job of test/evasion that must not run is handed to a real
// daemon. Each is denied by the rule that its case names, and no pod is made.
// What changes a pod on its way, and what GitLab is asked for, other tests show.
func TestEvasion(t *testing.T) {
	t.Parallel()
	files, err := policycase.Load("../evasion")
	if err != nil {
		t.Fatal(err)
	}
	runners := map[string]*standin.Runner{} // by config file
	s := start(t, options{
		concurrent: 8, gitlab: standin.Options{JobRate: -1, RunnerRate: -1},
		more: func(s *site) string {
			var text strings.Builder
			for _, f := range files {
				runners[f.Config] = s.gitlab.AddRunner(standin.RunnerSpec{Description: f.Config})
				text.WriteString(s.entryOf(f, runners[f.Config]))
			}
			return text.String()
		},
	})
	pods := s.watchPods(s.namespace)
	type tried struct {
		policycase.Case
		job *standin.Job
	}
	var jobs []tried
	for _, f := range files {
		for _, c := range f.Cases {
			if c.Expect != "deny" || c.PodImage != "" || strings.HasPrefix(f.Config, "gitlab.") {
				continue
			}
			j := s.gitlab.AddJob(standin.JobSpec{Name: c.Name, Runner: runners[f.Config], Script: []string{"echo it ran"}, Mutate: c.Apply})
			jobs = append(jobs, tried{c, j})
		}
	}
	for _, try := range jobs {
		s.finish(try.job, standin.Failed)
		if !strings.Contains(try.job.Text(), "rule:    "+try.Rule) {
			t.Errorf("%s: not denied by %q:\n%s", try.Name, try.Rule, try.job.Text())
		}
	}
	t.Logf("%d jobs were denied", len(jobs))
	if len(jobs) < 100 {
		t.Errorf("%d jobs were tried, want 100 or more", len(jobs))
	}
	// A pod of an allowed job comes behind whatever the denied ones made.
	fine := s.add(standin.JobSpec{Name: "fine", Runner: s.runner, Script: []string{"true"}})
	pods.of(fine)
	s.finish(fine, standin.Success)
}

// entryOf makes an example's [[runners]] entry one of this site.
func (s *site) entryOf(f policycase.File, r *standin.Runner) string {
	s.t.Helper()
	text, err := os.ReadFile(f.Beside(f.Config))
	if err != nil {
		s.t.Fatal(err)
	}
	return "\n" + strings.NewReplacer(
		`"https://gitlab.example.com"`, strconv.Quote(s.gitlab.URL()),
		`"glrt-example"`, strconv.Quote(r.Token()),
		`namespace = "ci"`, fmt.Sprintf("namespace = %q\nhelper_image = %q", s.namespace, ground.helper),
	).Replace(string(text))
}
