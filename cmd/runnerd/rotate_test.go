package main

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/runnerd/runnerd/internal/standin"
	"github.com/runnerd/runnerd/pkg/config"
	"github.com/runnerd/runnerd/pkg/job"
)

func TestRotationDue(t *testing.T) {
	t.Parallel()
	obtained := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	r := config.Runner{TokenObtainedAt: obtained, TokenExpiresAt: obtained.Add(40 * time.Hour)}
	if got, want := rotationDue(r), obtained.Add(30*time.Hour); !got.Equal(want) {
		t.Errorf("due at %v, want %v", got, want)
	}
	r.FeatureFlags = map[string]bool{job.FlagNoTokenRotation: true}
	if got := rotationDue(r); !got.IsZero() {
		t.Errorf("due at %v with the flag, want never", got)
	}
	if got := rotationDue(config.Runner{TokenObtainedAt: obtained}); !got.IsZero() {
		t.Errorf("due at %v without an end, want never", got)
	}
	if got := rotationDue(config.Runner{TokenExpiresAt: obtained}); !got.Before(obtained) {
		t.Errorf("due at %v when nobody knows the beginning, want at once", got)
	}
}

// expiring are the keys of a token that is past three quarters of its life.
func expiring() string {
	now := time.Now().UTC()
	return fmt.Sprintf("token_obtained_at = %s\ntoken_expires_at = %s",
		now.Add(-50*time.Minute).Format(time.RFC3339), now.Add(10*time.Minute).Format(time.RFC3339))
}

// TestRotation: a token that expires is replaced in GitLab and in the file; the
// runner takes jobs with the new one, and the other entry polls on: the
// stand-in would see a poll that has forgotten its queue value.
func TestRotation(t *testing.T) {
	t.Parallel()
	s := newSite(t, standin.Options{RequestConcurrency: 1}, standin.RunnerSpec{TokenTTL: time.Hour})
	other := s.gitlab.AddRunner(standin.RunnerSpec{})
	old := s.runner.Token()
	d := s.start(s.configText("concurrent = 2") + s.entry("two", other.Token()))
	s.ends(s.gitlab.AddJob(standin.JobSpec{Runner: other}), standin.Success, "")
	d.reload(s.configText("concurrent = 2", expiring())+"# kept\n"+s.entry("two", other.Token()), "runner token replaced")

	fresh := s.runner.Token()
	c, _, err := config.Load(s.path())
	if err != nil {
		t.Fatal(err)
	}
	one := c.Runners[0]
	if fresh == old || one.Token.Reveal() != fresh || !one.TokenExpiresAt.After(time.Now().Add(50*time.Minute)) {
		t.Errorf("the file has token %s…, expires %v; GitLab has %s…, and had %s…", one.Token.Reveal()[:9], one.TokenExpiresAt, fresh[:9], old[:9])
	}
	s.ends(s.gitlab.AddJob(standin.JobSpec{Runner: s.runner}), standin.Success, "")
	s.ends(s.gitlab.AddJob(standin.JobSpec{Runner: other}), standin.Success, "")
	if text := d.log.String(); strings.Contains(text, fresh) || strings.Contains(text, old) {
		t.Error("the daemon's log shows a token")
	}
}

// TestRotationNeedsTheFile: a token that cannot be stored is not replaced.
func TestRotationNeedsTheFile(t *testing.T) {
	s := newSite(t, standin.Options{RequestConcurrency: 1}, standin.RunnerSpec{TokenTTL: time.Hour})
	t.Setenv("TEST_ROTATION_TOKEN", s.runner.Token())
	old := s.runner.Token()
	d := s.start("check_interval = 1\n" + s.entry("one", "${TEST_ROTATION_TOKEN}", expiring()))
	if !d.log.until(s.ctx, "runner token not replaced", 1) {
		t.Fatal("nobody says that the token will expire")
	}
	if s.runner.Token() != old {
		t.Error("the token was replaced, and nobody knows the new one")
	}
	s.ends(s.gitlab.AddJob(standin.JobSpec{}), standin.Success, "")
}
