package gitlab

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/runnerd/runnerd/pkg/job"
)

func TestSecrets(t *testing.T) {
	j, err := DecodeJob([]byte(`{"id": 1, "token": "t", "inputs": [{"key": "n", "value": {"type": "number", "content": 7, "sensitive": true}}], "secrets": {
		"A": {"vault": {"server": {"url": "u", "namespace": "ns", "later": [], "auth": {"name": "jwt", "path": "p", "data": {"role": "r"}}},
			"engine": {"name": "kv-v2", "path": "kv"}, "path": "a", "field": "f"}, "file": false, "later": 1, "azure_key_vault": null},
		"B": {"gcp_secret_manager": {"name": "x"}}, "C": {}, "D": 1, "E": {"vault": {"server": 1}}, "F": {"vault": "x"}, "G": {"file": "x"}}}`))
	if err != nil {
		t.Fatal(err)
	}
	if want := []job.Input{{Key: "n", Type: "number", Content: "7", Sensitive: true}}; !cmp.Equal(want, j.Inputs) {
		t.Errorf("inputs %+v", j.Inputs)
	}
	want := job.SecretRequest{Name: "A", Provider: "vault", Vault: job.VaultSecret{
		URL: "u", Namespace: "ns", AuthName: "jwt", AuthPath: "p", AuthData: map[string]any{"role": "r"},
		EngineName: "kv-v2", EnginePath: "kv", Path: "a", Field: "f",
	}}
	if diff := cmp.Diff(want, j.Secrets[0]); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for i, want := range []struct {
		provider string
		invalid  bool
	}{{"vault", false}, {"gcp_secret_manager", false}, {"", false}, {"", true}, {"vault", true}, {"", true}, {"", true}} {
		if s := j.Secrets[i]; s.Provider != want.provider || (s.Invalid != "") != want.invalid {
			t.Errorf("%+v, want %+v", s, want)
		}
	}
}
