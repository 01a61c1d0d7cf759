package config

import (
	"strings"
	"testing"
)

// intakeHead is a file to which keys of [runners.kubernetes] are added; its
// [[runners]] get extra.
func intakeHead(extra string) string {
	return "[[runners]]\nurl = \"http://gitlab\"\ntoken = \"x\"\nexecutor = \"kubernetes\"\n" + extra + "\n[runners.kubernetes]\nnamespace = \"ci\"\n"
}

func TestIntakeDefaults(t *testing.T) {
	c, warnings, err := Parse("config.toml", []byte(intakeHead("")))
	if err != nil || len(warnings) > 0 {
		t.Fatalf("Parse: warnings %v, error %v", warnings, err)
	}
	r := c.Runners[0]
	if r.ProjectLimit != 0 || r.TwoPhase != TwoPhaseOff || !r.Kubernetes.PauseOnQuota || r.Kubernetes.PauseOnUnschedulable != 1 {
		t.Errorf("project_limit %d, two_phase %q, pause_on_quota %v, pause_on_unschedulable %d; want 0, off, true, 1",
			r.ProjectLimit, r.TwoPhase, r.Kubernetes.PauseOnQuota, r.Kubernetes.PauseOnUnschedulable)
	}
}

func TestIntakeKeys(t *testing.T) {
	text := intakeHead("project_limit = 5\ntwo_phase = \"auto\"") + "pause_on_quota = false\npause_on_unschedulable = 0\n"
	c, warnings, err := Parse("config.toml", []byte(text))
	if err != nil || len(warnings) > 0 {
		t.Fatalf("Parse: warnings %v, error %v", warnings, err)
	}
	r := c.Runners[0]
	if r.ProjectLimit != 5 || r.TwoPhase != TwoPhaseAuto || r.Kubernetes.PauseOnQuota || r.Kubernetes.PauseOnUnschedulable != 0 {
		t.Errorf("project_limit %d, two_phase %q, pause_on_quota %v, pause_on_unschedulable %d; want what the file says",
			r.ProjectLimit, r.TwoPhase, r.Kubernetes.PauseOnQuota, r.Kubernetes.PauseOnUnschedulable)
	}
}

func TestIntakeKeysThatMakeNoSense(t *testing.T) {
	for text, want := range map[string]string{
		intakeHead("project_limit = -1"):                 "runners[0].project_limit",
		intakeHead(`two_phase = "always"`):               "runners[0].two_phase",
		intakeHead("") + "pause_on_unschedulable = -1\n": "runners[0].kubernetes.pause_on_unschedulable",
	} {
		if _, _, err := Parse("config.toml", []byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Parse: %v, want a problem with %s", err, want)
		}
	}
	local := strings.Replace(intakeHead(`two_phase = "auto"`), `"kubernetes"`, `"local"`, 1)
	if _, warnings, err := Parse("config.toml", []byte(local)); err != nil || len(warnings) == 0 || !strings.Contains(warnings[0].String(), "two_phase") {
		t.Errorf("Parse: warnings %v, error %v; want a warning about two_phase", warnings, err)
	}
}
