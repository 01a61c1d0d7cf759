package gitlab

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	api "gitlab.com/gitlab-org/api/client-go/v2"

	"github.com/runnerd/runnerd/pkg/job"
)

// A Registration is what GitLab knows a runner by.
type Registration struct {
	ID        int64      // 0 when a very old server does not say
	Token     job.Secret // the authentication token
	ExpiresAt time.Time  // of the token; zero means never
}

// RegisterOptions are the settings that a runner of the old flow is born with.
type RegisterOptions struct {
	Description     string
	MaintenanceNote string // at most 1024 characters
	Paused          bool
	Locked          bool
	RunUntagged     bool
	AccessLevel     string // not_protected or ref_protected; empty means GitLab's default
	Tags            []string
	MaximumTimeout  time.Duration // 0 means none
}

// Verify asks GitLab whether the token is good. It also tells GitLab which
// features this manager has; GitLab keeps the first answer for most of an hour,
// so Verify comes before the first request for a job.
//
// Only a [*StatusError] with status 403 means that the runner is gone.
func (c *Client) Verify(ctx context.Context) (Registration, error) {
	return c.exchangeToken(ctx, "runners/verify", http.StatusOK, c.cfg.Token, struct {
		Token    string   `json:"token"`
		SystemID string   `json:"system_id,omitempty"`
		Info     wireInfo `json:"info"`
	}{c.cfg.Token.Reveal(), c.cfg.SystemID, c.cfg.Info.wire()})
}

// Register makes a runner with a registration token (the old flow) and returns
// its authentication token. The client's own token is not used.
func (c *Client) Register(ctx context.Context, token job.Secret, o RegisterOptions) (Registration, error) {
	r, err := c.exchangeToken(ctx, "runners", http.StatusCreated, token, struct {
		Token           string   `json:"token"`
		Description     string   `json:"description,omitempty"`
		Info            wireInfo `json:"info"`
		MaintenanceNote string   `json:"maintenance_note,omitempty"`
		Paused          bool     `json:"paused"`
		Locked          bool     `json:"locked"`
		AccessLevel     string   `json:"access_level,omitempty"`
		RunUntagged     bool     `json:"run_untagged"`
		Tags            string   `json:"tag_list,omitempty"`
		MaximumTimeout  int64    `json:"maximum_timeout,omitempty"`
	}{
		token.Reveal(), o.Description, c.cfg.Info.wire(), o.MaintenanceNote, o.Paused, o.Locked,
		o.AccessLevel, o.RunUntagged, strings.Join(o.Tags, ","), int64(o.MaximumTimeout / time.Second),
	})
	var refused *StatusError
	switch {
	case errors.As(err, &refused) && refused.Status == http.StatusGone:
		return r, fmt.Errorf("%w; registration tokens are switched off: create the runner in GitLab and use its glrt- token", err)
	case errors.As(err, &refused) && refused.Status == http.StatusForbidden:
		return r, fmt.Errorf("%w; check the registration token", err)
	case err == nil && r.Token == "":
		return r, fmt.Errorf("gitlab: POST /api/v4/runners: answer has no token")
	}
	return r, err
}

// ResetToken replaces the client's token by a new one; from then on the old one
// is refused. The caller stores the new token and makes a new client.
func (c *Client) ResetToken(ctx context.Context) (Registration, error) {
	done := c.observer.observe(endpointResetToken, http.MethodPost)
	r, err := c.exchangeToken(ctx, "runners/reset_authentication_token", http.StatusCreated, c.cfg.Token, struct {
		Token string `json:"token"`
	}{c.cfg.Token.Reveal()})
	done(statusOf(err, http.StatusCreated))
	if err == nil && r.Token == "" {
		return r, errors.New("gitlab: POST /api/v4/runners/reset_authentication_token: answer has no token")
	}
	return r, err
}

// ResetTokenAs replaces the token of a runner with the rights of a user's
// personal access token.
func (c *Client) ResetTokenAs(ctx context.Context, runnerID int64, pat job.Secret) (Registration, error) {
	token, resp, err := c.api.Runners.ResetRunnerAuthenticationToken(runnerID,
		api.WithContext(ctx), api.WithHeader(privateToken, pat.Reveal()))
	op := fmt.Sprintf("POST /api/v4/runners/%d/reset_authentication_token", runnerID)
	switch {
	case err != nil && resp != nil && resp.StatusCode >= 300:
		return Registration{}, statusError(op, refusal(resp, err), pat)
	case err != nil:
		return Registration{}, fmt.Errorf("gitlab: %s: %w", op, withoutURL(err))
	case token.Token == nil:
		return Registration{}, fmt.Errorf("gitlab: %s: answer has no token", op)
	}
	r := Registration{ID: runnerID, Token: job.Secret(*token.Token)}
	if token.TokenExpiresAt != nil {
		r.ExpiresAt = *token.TokenExpiresAt
	}
	return r, nil
}

// Unregister removes this runner manager; the runner itself and its other
// managers stay.
func (c *Client) Unregister(ctx context.Context) error {
	return c.remove(ctx, "runners/managers", struct {
		Token    string `json:"token"`
		SystemID string `json:"system_id"`
	}{c.cfg.Token.Reveal(), c.cfg.SystemID})
}

// DeleteRunner deletes the runner for everybody who uses it. It is meant for
// runners of the old flow; see [NewFlow].
func (c *Client) DeleteRunner(ctx context.Context) error {
	return c.remove(ctx, "runners", struct {
		Token string `json:"token"`
	}{c.cfg.Token.Reveal()})
}

func (c *Client) remove(ctx context.Context, path string, body any) error {
	what, err := jsonCall(http.MethodDelete, path, runnerToken, c.cfg.Token, body)
	if err != nil {
		return err
	}
	r, err := c.do(ctx, what)
	if err != nil {
		return err
	}
	if r.StatusCode != http.StatusNoContent {
		return statusError(what.op(), r, c.cfg.Token)
	}
	return nil
}

// exchangeToken posts body and reads a registration from the answer.
func (c *Client) exchangeToken(ctx context.Context, path string, want int, token job.Secret, body any) (Registration, error) {
	what, err := jsonCall(http.MethodPost, path, runnerToken, token, body)
	if err != nil {
		return Registration{}, err
	}
	r, err := c.do(ctx, what)
	switch {
	case err != nil:
		return Registration{}, err
	case r.StatusCode != want:
		return Registration{}, statusError(what.op(), r, token)
	case want == http.StatusOK && strings.TrimSpace(string(r.body)) == "200":
		return Registration{Token: token}, nil // a very old server
	case r.bodyErr != nil:
		return Registration{}, fmt.Errorf("gitlab: %s: read answer: %w", what.op(), r.bodyErr)
	}
	if err := r.mustBeJSON(); err != nil {
		return Registration{}, fmt.Errorf("gitlab: %s: %w", what.op(), err)
	}
	var said struct {
		ID        number     `json:"id"`
		Token     string     `json:"token"`
		ExpiresAt *time.Time `json:"token_expires_at"`
	}
	if err := json.Unmarshal(r.body, &said); err != nil {
		return Registration{}, fmt.Errorf("gitlab: %s: answer: %w", what.op(), err)
	}
	got := Registration{ID: said.ID.int(), Token: job.Secret(said.Token)}
	if said.ExpiresAt != nil {
		got.ExpiresAt = *said.ExpiresAt
	}
	return got, nil
}

// refusal makes a reply of what client-go's own calls return for an error.
func refusal(resp *api.Response, err error) reply {
	r := reply{Response: resp.Response}
	var refused *api.ErrorResponse
	if errors.As(err, &refused) {
		r.body = refused.Body
	}
	return r
}

// statusOf returns the status that an error stands for: ok for none.
func statusOf(err error, ok int) int {
	var refused *StatusError
	switch {
	case err == nil:
		return ok
	case errors.As(err, &refused):
		return refused.Status
	default:
		return 0
	}
}
