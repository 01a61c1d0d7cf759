package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
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
	c := exec.CommandContext(t.Context(), "runnerd", "config", "lint", "config.toml")
	var stdout, stderr bytes.Buffer
	c.Dir, c.Stdout, c.Stderr = t.TempDir(), &stdout, &stderr
	if err := os.WriteFile(filepath.Join(c.Dir, "config.toml"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := c.Run(); c.ProcessState == nil {
		t.Fatal(err)
	}
	return stdout.String(), stderr.String(), c.ProcessState.ExitCode()
}
