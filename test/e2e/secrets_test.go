//go:build e2e

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/runnerd/runnerd/internal/standin"
	"github.com/runnerd/runnerd/internal/vaulttest"
)

const vaultAudience = "https://vault.test"

// vaulted brings up a Vault with a secret, and a site that may connect to it.
func vaulted(t *testing.T, policy string) (*site, *vaulttest.Server) {
	t.Helper()
	vault, table := startVault(t)
	vault.Namespace = "team"
	vault.Put("team/kv2/prod/db", map[string]any{"password": "correct-horse", "user": "staple-battery"})
	vault.AddRole("ci", vaulttest.Role{
		Audience: vaultAudience, Claims: map[string]string{"project_path": "group/hello"}, Paths: []string{"team/kv2/data/prod/*"},
	})
	return start(t, options{policy: policy, cache: table}), vault
}

// startVault brings up an empty Vault, and returns the table of the config that
// lets a runner connect to it and to no other.
func startVault(t *testing.T) (*vaulttest.Server, string) {
	t.Helper()
	vault := vaulttest.Start(t, true)
	ca := filepath.Join(t.TempDir(), "vault-ca.pem")
	if err := os.WriteFile(ca, vault.CA(), 0o600); err != nil {
		t.Fatal(err)
	}
	return vault, fmt.Sprintf("[runners.secrets]\nvault_servers = [%q]\nca_file = %q\n", vault.URL(), ca)
}

// withVault gives spec the ID token and variables that GitLab sends.
func withVault(vault *vaulttest.Server, spec standin.JobSpec) standin.JobSpec {
	token := vault.Sign(map[string]any{"aud": vaultAudience, "project_path": "group/hello", "exp": time.Now().Add(time.Hour).Unix()})
	spec.Variables = append([]standin.Variable{
		{Key: "VAULT_SERVER_URL", Value: vault.URL(), Public: true},
		{Key: "VAULT_ID_TOKEN", Value: token, Masked: true},
		{Key: "VAULT_AUTH_ROLE", Value: "ci", Public: true},
		{Key: "DB_PASSWORD", Value: "overridden"},
	}, spec.Variables...)
	return spec
}

func vaultSecret(field string, file bool) map[string]any {
	return map[string]any{"file": file, "vault": map[string]any{
		"server": map[string]any{"url": "$VAULT_SERVER_URL", "namespace": "team", "auth": map[string]any{
			"name": "jwt", "path": "jwt/gitlab", "data": map[string]any{"jwt": "$VAULT_ID_TOKEN", "role": "$VAULT_AUTH_ROLE"},
		}},
		"engine": map[string]any{"name": "kv-v2", "path": "team/kv2"}, "path": "prod/db", "field": field,
	}}
}

func TestSecrets(t *testing.T) {
	t.Parallel()
	s, vault := vaulted(t, "")
	j := s.add(withVault(vault, standin.JobSpec{
		Secrets: map[string]any{"DB_PASSWORD": vaultSecret("password", false), "DB_USER": vaultSecret("user", true)},
		Script: []string{
			`echo "value $DB_PASSWORD length ${#DB_PASSWORD}"`,
			`echo "file $(wc -c < "$DB_USER") bytes: $(cat "$DB_USER")"`,
			`echo "dsn ${#DSN}"`,
		},
		AfterScript: []string{`echo "after ${#DB_PASSWORD}"`},
		Variables:   []standin.Variable{{Key: "DSN", Value: "db:$DB_PASSWORD", Public: true}},
	}))
	s.finish(j, standin.Success)
	log := j.Text()
	for _, text := range []string{
		"Resolving secrets", `Resolving secret "DB_PASSWORD"...`, `Using "vault" secret resolver...`,
		"value [MASKED] length 13", "file 14 bytes: [MASKED]", "dsn 16", "after 13",
	} {
		if !strings.Contains(log, text) {
			t.Errorf("the log does not say %q", text)
		}
	}
	if all := log + s.daemonLog(); strings.Contains(all, "correct-horse") || strings.Contains(all, "staple-battery") {
		t.Error("a secret is in a log")
	}
	if vault.Tokens() > 0 {
		t.Errorf("%d tokens not revoked", vault.Tokens())
	}
	logins := 0
	for _, r := range vault.Requests() {
		if strings.HasSuffix(r, "/login") {
			logins++
		}
	}
	if logins != 1 {
		t.Errorf("%d logins, want 1: %q", logins, vault.Requests())
	}
}

func TestSecretsRefused(t *testing.T) {
	t.Parallel()
	s, vault := vaulted(t, "")
	one := map[string]any{"DB_PASSWORD": vaultSecret("password", false)}
	role := func(name string) []standin.Variable {
		return []standin.Variable{{Key: "VAULT_AUTH_ROLE", Value: name, Public: true}}
	}
	elsewhere := []standin.Variable{{Key: "VAULT_SERVER_URL", Value: "https://127.0.0.1:1", Public: true}}
	tests := []struct {
		name   string
		spec   standin.JobSpec
		reason string
		says   string
	}{
		{"role", standin.JobSpec{Secrets: one, Variables: role("nobody")}, "runner_configuration_error", "VAULT_AUTH_ROLE"},
		{"field", standin.JobSpec{Secrets: map[string]any{"DB": vaultSecret("nothing", true)}}, "runner_configuration_error", `field "nothing"`},
		{"another server", standin.JobSpec{Secrets: one, Variables: elsewhere}, "runner_configuration_error", "vault_servers"},
		{"another provider", standin.JobSpec{Secrets: map[string]any{"DB": map[string]any{"aws_secrets_manager": map[string]any{"secret_id": "x"}}}}, "runner_configuration_error", "aws_secrets_manager"},
	}
	for _, tt := range tests {
		j := s.add(withVault(vault, tt.spec))
		s.finish(j, standin.Failed)
		if j.FailureReason() != tt.reason || !strings.Contains(j.Text(), tt.says) {
			t.Errorf("%s: %s, want %s; the log does not say %q or does:\n%s", tt.name, j.FailureReason(), tt.reason, tt.says, j.Text())
		}
	}
}

func TestSecretsOfADeniedJob(t *testing.T) {
	t.Parallel()
	s, vault := vaulted(t, "protected_refs_only = true")
	j := s.add(withVault(vault, standin.JobSpec{Secrets: map[string]any{"DB_PASSWORD": vaultSecret("password", false)}}))
	s.finish(j, standin.Failed)
	if len(vault.Requests()) > 0 {
		t.Errorf("a denied job has made the daemon ask %q", vault.Requests())
	}
}

func TestSecretsAreAskedForAgain(t *testing.T) {
	t.Parallel()
	s, vault := vaulted(t, "")
	vault.Down()
	j := s.add(withVault(vault, standin.JobSpec{
		Secrets:   map[string]any{"DB_PASSWORD": vaultSecret("password", false)},
		Script:    []string{`echo "length ${#DB_PASSWORD}"`},
		Variables: []standin.Variable{{Key: "SECRETS_RETRIEVAL_ATTEMPTS", Value: "3", Public: true}},
	}))
	s.until(j, "an attempt to fail", func(j *standin.Job) bool { return strings.Contains(j.Text(), "attempt 2 of 3 follows") })
	vault.Up()
	s.finish(j, standin.Success)
	if !strings.Contains(j.Text(), "length 13") {
		t.Errorf("the log does not show the secret's length:\n%s", j.Text())
	}
}

func TestJobInputs(t *testing.T) {
	t.Parallel()
	s, _ := vaulted(t, "")
	input := func(key, kind string, content any, sensitive bool) any {
		return map[string]any{"key": key, "value": map[string]any{"type": kind, "content": content, "sensitive": sensitive}}
	}
	inputs := []any{input("word", "string", "inp-word", false), input("n", "number", 42, false), input("key", "string", "x", true)}
	j := s.add(standin.JobSpec{Inputs: inputs, Script: []string{"echo said ${{ job.inputs.word }} ${{ job.inputs.n }}"}})
	s.finish(j, standin.Success)
	if !strings.Contains(j.Text(), "said inp-word 42") {
		t.Errorf("the log:\n%s", j.Text())
	}
	j = s.add(standin.JobSpec{Inputs: inputs, Script: []string{"echo ${{ job.inputs.key }}"}})
	s.finish(j, standin.Failed)
	if j.FailureReason() != "runner_configuration_error" || !strings.Contains(j.Text(), "${{ job.inputs.key }}: the input is sensitive") {
		t.Errorf("%s:\n%s", j.FailureReason(), j.Text())
	}
}
