package main

import (
	"bytes"
	"os"
	"strings"
	"testing"
)

// TestMigrate: the report in docs/migrate.md is what lint says of the config above it,
// and the config behind that is valid.
func TestMigrate(t *testing.T) {
	shown := map[string]string{}
	for _, b := range blocks(t, "migrate.md") {
		shown[b.Label] = b.Text
	}
	before, said, code := lint(t, shown["config: before"])
	if code != exitUsage {
		t.Errorf("exit code %d, want %d", code, exitUsage)
	}
	regenerated(t, "migrate.md", map[string]string{
		"lint": "```console\n$ runnerd config lint config.toml\n" + before + "$ echo $?\n2\n```\n\nOn standard error:\n\n```text\n" + said + "```\n",
	})
	after, said, code := lint(t, shown["config: after"])
	if code != exitOK || after != "config.toml: valid: 1 runner, 0 warnings\n" {
		t.Errorf("the config afterwards: exit code %d\n%s%s", code, after, said)
	}
}

// lint runs config lint on a file called config.toml.
func lint(t *testing.T, config string) (out, said string, code int) {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chdir(t.TempDir()); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := os.Chdir(dir); err != nil {
			t.Fatal(err)
		}
	}()
	if err := os.WriteFile("config.toml", []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	var stdout, stderr bytes.Buffer
	code = run(t.Context(), []string{"config", "lint", "config.toml"}, nil, &stdout, &stderr)
	return stdout.String(), strings.TrimPrefix(stderr.String(), "\n"), code
}
