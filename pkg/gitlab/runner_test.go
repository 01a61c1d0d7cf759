package gitlab

import (
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/runnerd/runnerd/pkg/job"
)

func TestRegistration(t *testing.T) {
	const answer = `{"id": 12, "token": "new-token", "token_expires_at": "2027-01-02T03:04:05Z"}`
	h := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		switch {
		case r.Method == http.MethodDelete:
			w.WriteHeader(http.StatusNoContent)
			return
		case !strings.HasSuffix(r.URL.Path, "verify"):
			w.WriteHeader(http.StatusCreated)
		}
		_, _ = io.WriteString(w, answer)
	})
	c := client(t, Config{URL: h.URL})
	want := Registration{ID: 12, Token: "new-token", ExpiresAt: time.Date(2027, 1, 2, 3, 4, 5, 0, time.UTC)}
	token := func(call func() (Registration, error)) func() error {
		return func() error {
			got, err := call()
			if err == nil && !cmp.Equal(want, got) {
				return errors.New(cmp.Diff(want, got))
			}
			return err
		}
	}
	tests := []struct {
		name, request string
		header        string
		body          []string
		call          func() error
	}{
		{
			"verify", "POST /api/v4/runners/verify", "Runner-Token",
			[]string{secret, "r_0123456789ab", `"features":`},
			token(func() (Registration, error) { return c.Verify(t.Context()) }),
		},
		{
			"register", "POST /api/v4/runners", "Runner-Token",
			[]string{`"token":"GR1348941x"`, `"tag_list":"a,b"`, `"maximum_timeout":60`, `"locked":true`},
			token(func() (Registration, error) {
				return c.Register(t.Context(), "GR1348941x", RegisterOptions{Tags: []string{"a", "b"}, MaximumTimeout: time.Minute, Locked: true})
			}),
		},
		{
			"reset", "POST /api/v4/runners/reset_authentication_token", "Runner-Token",
			[]string{secret},
			token(func() (Registration, error) { return c.ResetToken(t.Context()) }),
		},
		{
			"reset as a user", "POST /api/v4/runners/12/reset_authentication_token", "Private-Token", nil,
			token(func() (Registration, error) { return c.ResetTokenAs(t.Context(), 12, "glpat-x") }),
		},
		{
			"unregister", "DELETE /api/v4/runners/managers", "Runner-Token",
			[]string{secret, "r_0123456789ab"},
			func() error { return c.Unregister(t.Context()) },
		},
		{
			"delete", "DELETE /api/v4/runners", "Runner-Token",
			[]string{secret},
			func() error { return c.DeleteRunner(t.Context()) },
		},
	}
	for _, tt := range tests {
		if err := tt.call(); err != nil {
			t.Errorf("%s: %v", tt.name, err)
		}
		r := h.last(t)
		if r.Method+" "+r.Path != tt.request || r.Query != "" || r.Header.Get(tt.header) == "" {
			t.Errorf("%s: sent %s %s?%s with headers %v", tt.name, r.Method, r.Path, r.Query, r.Header)
		}
		for _, part := range tt.body {
			if !strings.Contains(r.Body, part) {
				t.Errorf("%s: body %s, want %s in it", tt.name, r.Body, part)
			}
		}
	}
}

func TestRefusedRegistrationSaysWhatToDo(t *testing.T) {
	for code, want := range map[int]string{403: "check the registration token", 410: "create the runner in GitLab"} {
		h := serve(t, status(code))
		_, err := client(t, Config{URL: h.URL}).Register(t.Context(), "x", RegisterOptions{})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%d: %v, want %q", code, err, want)
		}
	}
	h := serve(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "200") })
	if r, err := client(t, Config{URL: h.URL}).Verify(t.Context()); err != nil || r.ID != 0 || r.Token != secret {
		t.Errorf("very old server: %+v, %v", r, err)
	}
}

func TestShortToken(t *testing.T) {
	for token, want := range map[job.Secret]string{
		"glrt-t1_abcdefghijk": "abcdefghi", "glrt-abcdefghijk": "abcdefghi", "glrtr-abcdefghijk": "abcdefghi",
		"t2_abcdefghijk": "abcdefghi", "GR1348941abcdefghijk": "abcdefghi", "glcbt-64_Qx3yV0m": "64_Qx3yV0", "abc": "abc", "": "",
	} {
		if got := ShortToken(token); got != want {
			t.Errorf("ShortToken(%q) = %q, want %q", token.Reveal(), got, want)
		}
	}
}

func TestLoadSystemID(t *testing.T) {
	path := filepath.Join(t.TempDir(), ".runner_system_id")
	first, err := LoadSystemID(path, "")
	if err != nil || !systemIDForm.MatchString(first) || !strings.HasPrefix(first, "r_") {
		t.Fatalf("LoadSystemID = %q, %v", first, err)
	}
	if again, err := LoadSystemID(path, "machine"); err != nil || again != first {
		t.Errorf("second call: %q, %v; want %q", again, err, first)
	}
	if err := os.WriteFile(path, []byte("rubbish"), 0o600); err != nil {
		t.Fatal(err)
	}
	if id, err := LoadSystemID(path, "machine"); err != nil || !strings.HasPrefix(id, "s_") {
		t.Errorf("with a machine id: %q, %v", id, err)
	}
	if id, err := LoadSystemID("/nonexistent/id", ""); err == nil || !systemIDForm.MatchString(id) {
		t.Errorf("where nothing can be stored: %q, %v; want an id and an error", id, err)
	}
}
