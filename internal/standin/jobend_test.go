package standin_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/runnerd/runnerd/internal/standin"
)

func TestLogLimit(t *testing.T) {
	c := newRaw(t, standin.Options{LogLimit: 100})
	j := c.run(standin.JobSpec{})
	c.want(http.StatusAccepted, c.patch(j, line("fits")))
	c.want(http.StatusForbidden, c.patch(j, line(strings.Repeat("x", 100))))
	if j.State() != standin.Failed || j.FailureReason() != "trace_size_exceeded" {
		t.Errorf("job is %s %s, want failed trace_size_exceeded", j.State(), j.FailureReason())
	}
}

func TestUnsupportedJobIsNotHandedOut(t *testing.T) {
	c := newRaw(t, standin.Options{})
	j := c.srv.AddJob(standin.JobSpec{Secrets: map[string]any{"PASSWORD": map[string]any{}}})
	c.want(http.StatusNoContent, c.request(""))
	if j.State() != standin.Failed || j.FailureReason() != "runner_unsupported" {
		t.Errorf("job is %s %s, want failed runner_unsupported", j.State(), j.FailureReason())
	}
	if diff := cmp.Diff([]string{"vault_secrets"}, j.Requires()); diff != "" {
		t.Errorf("Requires (-want +got):\n%s", diff)
	}
}

func TestUnknownReasonIsStoredAsUnknownFailure(t *testing.T) {
	c := newRaw(t, standin.Options{})
	j := c.run(standin.JobSpec{})
	c.want(http.StatusOK, c.finish(j, "failed", map[string]any{"failure_reason": "image_pull_failure"}))
	if j.FailureReason() != "unknown_failure" {
		t.Errorf("reason is %s, want unknown_failure", j.FailureReason())
	}
}

func TestOddPayloadsStayJSON(t *testing.T) {
	for name, odd := range standin.OddPayloads() {
		t.Run(name, func(t *testing.T) {
			c := newRaw(t, standin.Options{})
			j := c.take(standin.JobSpec{Mutate: odd})
			if !json.Valid(j.Payload()) {
				t.Errorf("payload is not JSON: %s", j.Payload())
			}
		})
	}
}

func TestJobIsGivenBackUnread(t *testing.T) {
	c := newRaw(t, standin.Options{})
	j := c.take(standin.JobSpec{})
	c.want(http.StatusOK, c.put(j, map[string]any{"state": "failed", "failure_reason": "runner_system_failure"}))
	if j.State() != standin.Failed || j.FailureReason() != "runner_system_failure" {
		t.Errorf("job is %s %s, want failed runner_system_failure", j.State(), j.FailureReason())
	}
	if got := points(c.srv); got != nil {
		t.Errorf("violations: %v", got)
	}
}

func TestText(t *testing.T) {
	c := newRaw(t, standin.Options{})
	j := c.run(standin.JobSpec{})
	const at = "2026-07-26T09:15:04.123456Z "
	c.want(http.StatusAccepted, c.patch(j, at+"01O 10%\r\n"+at+"00O between\n"+at+"01O+20%\r\n"+at+"01O+done\n"+at+"01E oops\n"))
	if got, want := j.Text(), "10%\r20%\rdone\nbetween\noops\n"; got != want {
		t.Errorf("text is %q, want %q", got, want)
	}
	if got := points(c.srv); got != nil {
		t.Errorf("violations: %v", got)
	}
}
