package standin_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/runnerd/runnerd/internal/standin"
)

type credentials struct {
	ID        int64      `json:"id"`
	Token     string     `json:"token"`
	ExpiresAt *time.Time `json:"token_expires_at"`
}

func (c *raw) credentials(r reply) credentials {
	c.t.Helper()
	var v credentials
	if err := json.Unmarshal(r.body, &v); err != nil {
		c.t.Fatalf("answer %s: %v", r.body, err)
	}
	return v
}

func TestRegisterVerifyUnregister(t *testing.T) {
	c := newRaw(t, standin.Options{RegistrationTokens: []string{"GR1348941abc"}})
	c.want(403, c.json("POST", "/runners", map[string]any{"token": "wrong"}))
	c.want(400, c.json("POST", "/runners", map[string]any{"token": "GR1348941abc", "run_untagged": false}))

	got := c.credentials(c.want(201, c.json("POST", "/runners", map[string]any{"token": "GR1348941abc", "tag_list": "a,b", "run_untagged": false})))
	form := c.do("POST", "/runners", []byte("token=GR1348941abc&description=x"), header{"Content-Type", "application/x-www-form-urlencoded"})
	if again := c.credentials(c.want(201, form)); again.Token == got.Token || again.ID == got.ID {
		t.Errorf("two registrations gave the same runner %+v", got)
	}

	verify := map[string]any{"token": got.Token, "system_id": systemID, "info": info()}
	if v := c.credentials(c.want(200, c.json("POST", "/runners/verify", verify))); v.ID != got.ID || v.Token != got.Token {
		t.Errorf("verify gave %+v, want %+v", v, got)
	}
	c.want(400, c.json("DELETE", "/runners/managers", map[string]any{"token": got.Token}))
	c.want(404, c.json("DELETE", "/runners/managers", map[string]any{"token": got.Token, "system_id": "r_nobodynobody"}))
	c.want(204, c.json("DELETE", "/runners/managers", map[string]any{"token": got.Token, "system_id": systemID}))
	c.want(204, c.json("DELETE", "/runners", map[string]any{"token": got.Token}))
	c.want(403, c.json("POST", "/runners/verify", verify))
	if got := points(c.srv); got != nil {
		t.Errorf("violations: %v", got)
	}
}

func TestRegistrationDisabled(t *testing.T) {
	c := newRaw(t, standin.Options{RegistrationDisabled: true})
	c.want(http.StatusGone, c.json("POST", "/runners", map[string]any{"token": "any"}))
}

func TestManagersAreKept(t *testing.T) {
	c := newRaw(t, standin.Options{})
	c.want(204, c.request(""))
	managers := c.runner.Managers()
	if len(managers) != 1 || managers[0].SystemID != systemID || managers[0].Version != "1.0.0" {
		t.Fatalf("managers: %+v", managers)
	}
	if diff := cmp.Diff(features, managers[0].Features); diff != "" {
		t.Errorf("features (-want +got):\n%s", diff)
	}
}

func TestResetToken(t *testing.T) {
	c := newRaw(t, standin.Options{AccessTokens: []string{"glpat-x"}})
	c.runner = c.srv.AddRunner(standin.RunnerSpec{TokenTTL: time.Hour})
	old := c.runner.Token()
	got := c.credentials(c.want(201, c.json("POST", "/runners/reset_authentication_token", map[string]any{"token": old})))
	if got.Token == old || got.Token != c.runner.Token() || !strings.HasPrefix(got.Token, "glrt-") || got.ExpiresAt == nil {
		t.Errorf("reset gave %+v, the old token is %q", got, old)
	}
	c.want(403, c.json("POST", "/runners/verify", map[string]any{"token": old}))

	path := fmt.Sprintf("/runners/%d/reset_authentication_token", c.runner.ID())
	c.want(401, c.do("POST", path, nil))
	c.want(201, c.do("POST", path, nil, header{"PRIVATE-TOKEN", "glpat-x"}))
	c.want(404, c.do("POST", "/runners/1/reset_authentication_token", nil, header{"PRIVATE-TOKEN", "glpat-x"}))
	c.want(501, c.do("GET", "/runners/router/discovery", nil, header{"Runner-Token", c.runner.Token()}))
}

func TestPausedAndDeletedRunners(t *testing.T) {
	c := newRaw(t, standin.Options{})
	c.runner.SetPaused(true)
	j := c.srv.AddJob(standin.JobSpec{})
	r := c.want(204, c.request(""))
	c.runner.SetPaused(false)
	c.want(201, c.request(r.header.Get("X-GitLab-Last-Update")))
	if j.State() != standin.Running {
		t.Errorf("job is %s, want running", j.State())
	}
	c.runner.Delete()
	c.want(403, c.request(""))
}

func TestHeldJobAndJobOfAnotherRunner(t *testing.T) {
	c := newRaw(t, standin.Options{})
	held := c.srv.AddJob(standin.JobSpec{Held: true})
	c.srv.AddJob(standin.JobSpec{Runner: c.srv.AddRunner(standin.RunnerSpec{})})
	r := c.want(204, c.request(""))
	held.Release()
	c.want(201, c.request(r.header.Get("X-GitLab-Last-Update")))
}
