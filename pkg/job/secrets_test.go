package job

import (
	"slices"
	"strings"
	"testing"
	"time"
)

func vaultJob() *Job {
	return &Job{
		ID: 1, Timeout: time.Hour, Image: Image{Name: "registry.test/app:$DB"},
		Git:   Git{RepoURL: "https://gitlab.test/g/p.git"},
		Steps: []Step{{Name: "script", Script: []string{"true"}}},
		Variables: []Variable{
			{Key: "VAULT_SERVER_URL", Value: "https://vault.test/"},
			{Key: "TOKEN", Value: "jwt", Masked: true},
			{Key: "DSN", Value: "db://u:$DB@h", Public: true},
			{Key: "DB", Value: "payload's"},
		},
		Services: []Service{{Image: Image{Name: "redis:$DB"}, Variables: []Variable{{Key: "P", Value: "$DB"}}}},
		Secrets: []SecretRequest{{Name: "DB", Provider: ProviderVault, Vault: VaultSecret{
			URL: "$VAULT_SERVER_URL", AuthName: "jwt", AuthPath: "jwt", AuthData: map[string]any{"jwt": "$TOKEN", "n": 1.0},
			EngineName: EngineKV2, EnginePath: "kv", Path: "a/b", Field: "f",
		}}},
	}
}

func TestSecretsOfAPlan(t *testing.T) {
	o := Options{Executor: "kubernetes", BuildsDir: "/builds"}
	j := vaultJob()
	plan, err := Compile(j, o)
	if err != nil {
		t.Fatal(err)
	}
	if v := plan.Secrets[0].Vault; v.URL != "https://vault.test" || v.AuthData["jwt"] != "jwt" || j.Secrets[0].Vault.AuthData["jwt"] != "$TOKEN" {
		t.Errorf("expanded to %+v", v)
	}
	plan.Image.Pinned = "registry.test/app@sha256:1"
	secret := Variable{Key: "DB", Value: "the-$TOKEN-secret", Masked: true, Raw: true}
	got, err := WithSecrets(plan, j, o, []Variable{secret})
	if err != nil {
		t.Fatal(err)
	}
	if got.Image.Reference() != plan.Image.Reference() || got.Image.Name != plan.Image.Name || got.Services[0].Name != plan.Services[0].Name {
		t.Errorf("the secret has changed an image: %+v, %+v", got.Image, got.Services[0].Image)
	}
	for name, vars := range map[string][]Variable{"helper": got.Helper.Variables, "build": got.Build.Variables} {
		if v, _ := Lookup(vars, "DB"); v != secret {
			t.Errorf("%s: DB is %+v", name, v)
		}
		if v := Value(vars, "DSN"); v != "db://u:the-$TOKEN-secret@h" {
			t.Errorf("%s: DSN=%s", name, v)
		}
	}
	if got.Services[0].Variables[0].Value != secret.Value {
		t.Errorf("service's variables %+v", got.Services[0].Variables)
	}
	for _, log := range []LogOptions{got.Log, got.Helper.Log} {
		if !slices.Contains(log.Masks, secret.Value) {
			t.Errorf("masks %q", log.Masks)
		}
	}
	for _, v := range got.Environment {
		if strings.Contains(v.Value, "secret") {
			t.Errorf("the pod spec shows %+v", v)
		}
	}
	if slices.Contains(plan.Log.Masks, secret.Value) {
		t.Error("the judged plan has changed")
	}
}

func TestSecretsRefused(t *testing.T) {
	tests := []struct {
		change func(*SecretRequest)
		says   string
	}{
		{func(s *SecretRequest) { s.Provider = "azure_key_vault" }, "provider azure_key_vault is not supported"},
		{func(s *SecretRequest) { s.Provider = "" }, "no provider"},
		{func(s *SecretRequest) { s.Invalid = "it is no object" }, "it is no object"},
		{func(s *SecretRequest) { s.Vault.URL = "$NOBODY" }, "VAULT_SERVER_URL"},
		{func(s *SecretRequest) { s.Vault.URL = "https://u:p@vault" }, "no plain http(s) URL"},
		{func(s *SecretRequest) { s.Vault.URL = "file:///etc/passwd" }, "no plain http(s) URL"},
		{func(s *SecretRequest) { s.Vault.AuthPath = "" }, "auth method"},
		{func(s *SecretRequest) { s.Vault.EnginePath = "" }, "secrets engine"},
		{func(s *SecretRequest) { s.Vault.EngineName = "transit" }, "transit is not supported"},
		{func(s *SecretRequest) { s.Vault.Path = "a/../../sys/x" }, "dotted"},
		{func(s *SecretRequest) { s.Vault.Field = "" }, "no field"},
	}
	for _, tt := range tests {
		j := vaultJob()
		tt.change(&j.Secrets[0])
		_, err := Compile(j, Options{Executor: "kubernetes", BuildsDir: "/builds"})
		if err == nil || !strings.Contains(err.Error(), tt.says) || !strings.Contains(err.Error(), `"DB"`) {
			t.Errorf("%v, want %q", err, tt.says)
		}
	}
}
