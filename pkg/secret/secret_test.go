package secret_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/runnerd/runnerd/internal/vaulttest"
	"github.com/runnerd/runnerd/pkg/cacert"
	"github.com/runnerd/runnerd/pkg/job"
	"github.com/runnerd/runnerd/pkg/secret"
)

// A log is what a job's log says.
type log struct {
	strings.Builder
	onWarn func()
}

func (l *log) Info(line string) { l.WriteString(line + "\n") }
func (l *log) Warn(line string) {
	l.WriteString("WARNING: " + line + "\n")
	if l.onWarn != nil {
		l.onWarn()
	}
}

const audience = "https://vault.test"

// vault is a server with two secrets and a role that may read them.
func vault(t *testing.T, secure bool) *vaulttest.Server {
	t.Helper()
	v := vaulttest.Start(t, secure)
	v.Put("kv1/db", map[string]any{"password": "one-value", "port": 5432, "empty": nil})
	v.Put("team/kv2/prod/db", map[string]any{"password": "two-value"})
	v.Put("team/kv2/hidden", map[string]any{"password": "never"})
	v.AddRole("ci", vaulttest.Role{
		Audience: audience, Claims: map[string]string{"project_path": "group/project"},
		Paths: []string{"kv1/*", "team/kv2/data/prod/*"},
	})
	return v
}

func token(v *vaulttest.Server, project string) string {
	return v.Sign(map[string]any{"aud": audience, "project_path": project, "exp": time.Now().Add(time.Hour).Unix()})
}

func request(v *vaulttest.Server, name, engine, mount, path string) job.SecretRequest {
	return job.SecretRequest{Name: name, Provider: job.ProviderVault, File: true, Vault: job.VaultSecret{
		URL: v.URL(), Namespace: v.Namespace, AuthName: "jwt", AuthPath: "jwt/gitlab",
		AuthData:   map[string]any{"role": "ci", "jwt": token(v, "group/project")},
		EngineName: engine, EnginePath: mount, Path: path, Field: "password",
	}}
}

func resolve(t *testing.T, o secret.Options, plan *job.Plan) ([]job.Variable, string, error) {
	t.Helper()
	r := secret.New(o)
	defer r.Close()
	l := &log{}
	vars, err := r.Resolve(t.Context(), plan, l)
	return vars, l.String(), err
}

func TestResolve(t *testing.T) {
	for _, secure := range []bool{false, true} {
		v := vault(t, secure)
		v.Namespace = "team-a"
		first := request(v, "ONE", job.EngineKV1, "kv1", "db")
		second := first
		second.Name, second.File, second.Vault.Field = "PORT", false, "port"
		third := request(v, "TWO", job.EngineKV2, "team/kv2/", "/prod/db")
		third.Vault.AuthData = first.Vault.AuthData
		roots, err := cacert.Pool(v.CA())
		if err != nil {
			t.Fatal(err)
		}
		vars, said, err := resolve(t, secret.Options{Roots: roots}, &job.Plan{Secrets: []job.SecretRequest{first, second, third}, SecretAttempts: 1})
		if err != nil {
			t.Fatal(err)
		}
		want := []job.Variable{
			{Key: "ONE", Value: "one-value", Masked: true, Raw: true, File: true},
			{Key: "PORT", Value: "5432", Masked: true, Raw: true},
			{Key: "TWO", Value: "two-value", Masked: true, Raw: true, File: true},
		}
		if diff := cmp.Diff(want, vars); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		if strings.Contains(said, "-value") || !strings.Contains(said, "Resolving secret \"TWO\"...\nUsing \"vault\" secret resolver...\n") {
			t.Errorf("the log says %q", said)
		}
		if v.Tokens() > 0 {
			t.Errorf("%d tokens not revoked", v.Tokens())
		}
		requests := []string{"POST /v1/auth/jwt/gitlab/login", "GET /v1/kv1/db", "GET /v1/kv1/db", "GET /v1/team/kv2/data/prod/db", "POST /v1/auth/token/revoke-self"}
		if diff := cmp.Diff(requests, v.Requests()); diff != "" {
			t.Errorf("requests (-want +got):\n%s", diff)
		}
	}
}

func TestRefused(t *testing.T) {
	v := vault(t, false)
	tests := []struct {
		name   string
		change func(*job.VaultSecret)
		reason job.Reason
		says   []string
	}{
		{"role", func(s *job.VaultSecret) { s.AuthData["role"] = "nobody" }, job.RunnerConfigurationError, []string{`role "nobody" could not be found`, "VAULT_AUTH_ROLE"}},
		{"another project's token", func(s *job.VaultSecret) { s.AuthData["jwt"] = token(v, "group/other") }, job.RunnerConfigurationError, []string{"bound claim"}},
		{"policy", func(s *job.VaultSecret) { s.EngineName, s.EnginePath, s.Path = job.EngineKV2, "team/kv2", "hidden" }, job.RunnerConfigurationError, []string{"read: HTTP 403", "policies"}},
		{"path", func(s *job.VaultSecret) { s.Path = "nothing" }, job.RunnerConfigurationError, []string{`secret "DB"`, v.URL() + "/kv1/nothing", "no such secret"}},
		{"field", func(s *job.VaultSecret) { s.Field = "user" }, job.RunnerConfigurationError, []string{`field "user"`, "no such secret or field"}},
		{"null", func(s *job.VaultSecret) { s.Field = "empty" }, job.RunnerConfigurationError, []string{"no such secret or field"}},
		{"namespace", func(s *job.VaultSecret) { s.Namespace = "x" }, job.RunnerConfigurationError, []string{"login: HTTP 403", "in namespace x"}},
		{"nobody there", func(s *job.VaultSecret) { s.URL = "http://127.0.0.1:1" }, job.ExternalDependencyFailure, []string{"connection refused"}},
		{"no TLS there", func(s *job.VaultSecret) { s.URL = strings.Replace(s.URL, "http:", "https:", 1) }, job.ExternalDependencyFailure, []string{"check that the runner reaches"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := request(v, "DB", job.EngineKV1, "kv1", "db")
			tt.change(&s.Vault)
			_, said, err := resolve(t, secret.Options{}, &job.Plan{Secrets: []job.SecretRequest{s}, SecretAttempts: 1})
			var failure *job.Failure
			if !errors.As(err, &failure) || failure.Reason != tt.reason {
				t.Fatalf("%v, want %s", err, tt.reason)
			}
			for _, text := range tt.says {
				if !strings.Contains(failure.Message, text) {
					t.Errorf("%q does not say %q", failure.Message, text)
				}
			}
			if jwt := s.Vault.AuthData["jwt"].(string); strings.Contains(failure.Message+said, jwt) {
				t.Error("the token is shown")
			}
			if v.Tokens() > 0 {
				t.Errorf("%d tokens not revoked", v.Tokens())
			}
		})
	}
}

func TestMissingMayBeEmpty(t *testing.T) {
	v := vault(t, false)
	s := request(v, "DB", job.EngineKV1, "kv1", "nothing")
	vars, said, err := resolve(t, secret.Options{}, &job.Plan{Secrets: []job.SecretRequest{s}, SecretAttempts: 1, SecretsMayBeMissing: true})
	if err != nil || len(vars) != 1 || vars[0].Value != "" || !strings.Contains(said, "WARNING: ") {
		t.Errorf("%v, %v, %q", vars, err, said)
	}
}

func TestForeignServer(t *testing.T) {
	v := vault(t, false)
	plan := &job.Plan{Secrets: []job.SecretRequest{request(v, "DB", job.EngineKV1, "kv1", "db")}, SecretAttempts: 3}
	_, _, err := resolve(t, secret.Options{Servers: []string{"https://vault.example.com", "http://127.0.0.1"}}, plan)
	if err == nil || !strings.Contains(err.Error(), "vault_servers") || len(v.Requests()) > 0 {
		t.Errorf("%v, after the requests %q", err, v.Requests())
	}
	if _, _, err := resolve(t, secret.Options{Servers: []string{"https://x", "HTTP://127.0.0.*:*"}}, plan); err != nil {
		t.Error(err)
	}
}

func TestAttempts(t *testing.T) {
	v := vault(t, false)
	plan := &job.Plan{Secrets: []job.SecretRequest{request(v, "DB", job.EngineKV1, "kv1", "db")}, SecretAttempts: 3}
	v.Seal(2)
	vars, said, err := resolve(t, secret.Options{Pause: time.Millisecond}, plan)
	if err != nil || len(vars) != 1 || !strings.Contains(said, "attempt 3 of 3 follows in 2ms") {
		t.Errorf("%v, %v, %q", vars, err, said)
	}

	// Down at first, up when it is asked again.
	v.Down()
	r := secret.New(secret.Options{Pause: time.Millisecond})
	defer r.Close()
	if _, err := r.Resolve(t.Context(), plan, &log{onWarn: func() {
		if v.Tokens() == 0 {
			v.Up()
		}
	}}); err != nil {
		t.Error(err)
	}

	// The pause ends with the job.
	v.Seal(10)
	slow := secret.New(secret.Options{Pause: time.Hour})
	defer slow.Close()
	stopped := errors.New("stopped")
	ctx, stop := context.WithCancelCause(t.Context())
	if _, err := slow.Resolve(ctx, plan, &log{onWarn: func() { stop(stopped) }}); !errors.Is(err, stopped) {
		t.Errorf("%v, want the cause of the end", err)
	}
}
