package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// shippedConfig returns the path of a config of deploy/, with a token where the
// Secret would be.
func shippedConfig(t *testing.T, name string) string {
	t.Helper()
	t.Setenv("CI_SERVER_URL", "https://gitlab.example.com")
	dir := t.TempDir()
	token := filepath.Join(dir, "runner-token")
	text, err := os.ReadFile(filepath.Join("../../deploy", name))
	if err != nil {
		t.Fatal(err)
	}
	const mounted = `"/run/secrets/runnerd/runner-token"`
	if !bytes.Contains(text, []byte(mounted)) {
		t.Fatalf("%s does not name the token's file %s", name, mounted)
	}
	path := filepath.Join(dir, "config.toml")
	for file, content := range map[string]string{token: "glrt-t1_abcdefghijklmnop", path: strings.ReplaceAll(string(text), mounted, `"`+token+`"`)} {
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return path
}

// TestShippedConfigs: the configs that come along are valid, and no key in them is
// without effect.
func TestShippedConfigs(t *testing.T) {
	for _, name := range []string{"base/config.toml", "stack/config.toml"} {
		var out, said bytes.Buffer
		code := run(t.Context(), []string{"config", "lint", shippedConfig(t, name)}, nil, &out, &said)
		if code != exitOK || !strings.HasSuffix(out.String(), "valid: 1 runner, 0 warnings\n") {
			t.Errorf("lint of deploy/%s: exit code %d\n%s%s", name, code, &out, &said)
		}
	}
}

// TestShippedPolicies: the component's NetworkPolicies are what the command prints
// for the stack's config.
func TestShippedPolicies(t *testing.T) {
	var out, said bytes.Buffer
	if code := run(t.Context(), []string{"--config", shippedConfig(t, "stack/config.toml"), "policy", "network"}, nil, &out, &said); code != exitOK {
		t.Fatalf("exit code %d: %s", code, &said)
	}
	const file = "../../deploy/components/network-isolation/jobs.yaml"
	if *update {
		if err := os.WriteFile(file, out.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(file)
	if err != nil || !bytes.Equal(have, out.Bytes()) {
		t.Errorf("%s is not what the config makes now (%v); run go test ./cmd/runnerd -run ShippedPolicies -update", file, err)
	}
}
