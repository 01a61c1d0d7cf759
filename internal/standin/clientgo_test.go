package standin_test

import (
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"
	gitlab "gitlab.com/gitlab-org/api/client-go/v2"

	"github.com/runnerd/runnerd/internal/standin"
)

// GitLab's own client registers, verifies and deletes runners here.
func TestGitLabsOwnClient(t *testing.T) {
	c := newNetworked(t, standin.Options{PathPrefix: "/gitlab", RegistrationTokens: []string{"GR1348941abc"}})
	client, err := gitlab.NewClient("", gitlab.WithBaseURL(c.srv.URL()), gitlab.WithHTTPClient(&http.Client{Transport: c.http.Transport}))
	if err != nil {
		t.Fatal(err)
	}
	runner, _, err := client.Runners.RegisterNewRunner(&gitlab.RegisterNewRunnerOptions{
		Token: new("GR1348941abc"), Description: new("mine"), TagList: &[]string{"linux"}, RunUntagged: new(false),
	})
	if err != nil {
		t.Fatal(err)
	}
	if runner.ID == 0 || runner.Token == "" {
		t.Errorf("registered %+v, want an id and a token", runner)
	}
	if _, err := client.Runners.VerifyRegisteredRunner(&gitlab.VerifyRegisteredRunnerOptions{Token: &runner.Token}); err != nil {
		t.Error(err)
	}
	if got := points(c.srv); got != nil {
		t.Errorf("violations: %v", got)
	}
	if _, err := client.Runners.DeleteRegisteredRunner(&gitlab.DeleteRegisteredRunnerOptions{Token: &runner.Token}); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff([]string{"14.4"}, points(c.srv)); diff != "" { // it puts the token into the URL
		t.Errorf("violations of the deletion (-want +got):\n%s", diff)
	}
}
