package secret_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/runnerd/runnerd/pkg/job"
	"github.com/runnerd/runnerd/pkg/secret"
)

// TestHostileServers: whatever the server at a job's address says, the daemon
// reads a bounded part of it, follows nothing and quotes no value.
func TestHostileServers(t *testing.T) {
	tests := []struct {
		name   string
		handle http.HandlerFunc
		says   string
	}{
		{"endless", func(w http.ResponseWriter, _ *http.Request) {
			for block := make([]byte, 1<<16); ; {
				if _, err := w.Write(block); err != nil {
					return
				}
			}
		}, "larger than"},
		{"redirect", func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/elsewhere" {
				t.Error("the redirect was followed")
			}
			http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
		}, "redirects are not followed"},
		{"no JSON", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>hello")) }, "not JSON"},
		{"no token", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"auth":null}`)) }, "no token"},
		{"long reason", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusBadRequest)
			_, _ = w.Write([]byte(`{"errors":["a\nb` + strings.Repeat("x", 10000) + `"]}`))
		}, "a b"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			server := httptest.NewServer(tt.handle)
			defer server.Close()
			s := job.SecretRequest{Name: "DB", Provider: job.ProviderVault, Vault: job.VaultSecret{
				URL: server.URL, AuthPath: "jwt", AuthData: map[string]any{"jwt": "the-token"},
				EngineName: job.EngineKV1, EnginePath: "kv", Path: "a", Field: "b",
			}}
			_, _, err := resolve(t, secret.Options{}, &job.Plan{Secrets: []job.SecretRequest{s}, SecretAttempts: 1})
			if err == nil || !strings.Contains(err.Error(), tt.says) || strings.ContainsAny(err.Error(), "\n<") || len(err.Error()) > 1000 {
				t.Errorf("%v, want %q", err, tt.says)
			}
		})
	}
}
