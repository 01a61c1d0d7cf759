package main

import (
	"strings"
	"testing"

	"github.com/runnerd/runnerd/internal/standin"
)

const readToken = "glpat-read-only-0123456789"

// TestPolicyAsksGitLab: what GitLab itself says of a ref counts, not what the
// payload claims; and when GitLab does not answer, the job is denied.
func TestPolicyAsksGitLab(t *testing.T) {
	t.Parallel()
	s := newSite(t, standin.Options{AccessTokens: []string{readToken}}, standin.RunnerSpec{})
	d := s.start(s.configText("log_format = \"json\"", "[runners.policy]", "protected_refs_only = true", `contact = "#platform"`, "[runners.policy.gitlab]", `token = "`+readToken+`"`, `timeout = "2s"`))
	claims := s.gitlab.AddJob(standin.JobSpec{Name: "claims", Protected: true})
	s.ends(claims, standin.Failed, "runner_system_failure")
	s.says(claims, "rule:    protected_refs_only")
	s.says(claims, "contact: #platform")

	// Answers are kept for a minute: another project's is asked anew.
	repo, err := s.gitlab.AddRepository("group/safe", map[string]string{"README": "x"})
	if err != nil {
		t.Fatal(err)
	}
	repo.ProtectBranch("main")
	fine := s.gitlab.AddJob(standin.JobSpec{Name: "fine", Protected: true, Repository: repo})
	s.ends(fine, standin.Success, "")

	other, err := s.gitlab.AddRepository("group/other", map[string]string{"README": "x"})
	if err != nil {
		t.Fatal(err)
	}
	s.gitlab.Inject(standin.Fault{Endpoint: standin.ReadFacts, Status: 503, Times: -1})
	away := s.gitlab.AddJob(standin.JobSpec{Name: "away", Protected: true, Repository: other})
	s.ends(away, standin.Failed, "runner_system_failure")
	s.says(away, "it is not certain whether ref")
	s.says(away, "503")
	if strings.Contains(away.Text(), readToken) || strings.Contains(d.log.String(), readToken) {
		t.Error("the read token is in a log")
	}
}

// TestPolicyAudit: what would be denied is said, and runs.
func TestPolicyAudit(t *testing.T) {
	t.Parallel()
	s := newSite(t, standin.Options{}, standin.RunnerSpec{})
	d := s.start(s.configText("log_format = \"json\"", "[runners.policy]", `mode = "audit"`, "protected_refs_only = true"))
	j := s.gitlab.AddJob(standin.JobSpec{Name: "open"})
	s.ends(j, standin.Success, "")
	s.says(j, "would deny the job, but only reports it")
	if !strings.Contains(d.log.String(), `"outcome":"would_be_denied"`) {
		t.Error("the audit line does not say what would be done")
	}
}
