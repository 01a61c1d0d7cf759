package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/runnerd/runnerd/internal/markdown"
)

// runnerEntry is what the configs of the documents leave out when they show a part of a
// [[runners]] entry only.
const runnerEntry = `[[runners]]
name = "ci"
url = "https://gitlab.example.com"
token = "glrt-example"
executor = "kubernetes"
`

// wholeConfig completes a config that a document shows.
func wholeConfig(text string) string {
	if strings.Contains(text, "[[runners]]") {
		return text
	}
	head := runnerEntry
	if !strings.Contains(text, "[runners.kubernetes]") {
		head += "[runners.kubernetes]\nnamespace = \"ci\"\n"
	}
	return head + text
}

// TestCookbook: each config of the cookbook is valid, says nothing that has no
// effect, and decides the cases below it as it says.
func TestCookbook(t *testing.T) {
	recipes := map[string]map[string]markdown.Block{} // by name, then by kind
	for _, b := range blocks(t, "policy-cookbook.md") {
		kind, name, ok := strings.Cut(b.Label, ": ")
		if !ok {
			t.Errorf("docs/policy-cookbook.md:%d: no comment in front of the block says what it is", b.Line)
			continue
		}
		if recipes[name] == nil {
			recipes[name] = map[string]markdown.Block{}
		}
		recipes[name][kind] = b
	}
	if len(recipes) < 8 {
		t.Fatalf("only %d recipes", len(recipes))
	}
	for name, recipe := range recipes {
		t.Run(name, func(t *testing.T) { tryRecipe(t, recipe) })
	}
}

func tryRecipe(t *testing.T, recipe map[string]markdown.Block) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	if err := os.Mkdir(filepath.Join(dir, "cases"), 0o755); err != nil {
		t.Fatal(err)
	}
	config := write("config.toml", wholeConfig(recipe["config"].Text))
	write("cases/cases.toml", recipe["cases"].Text)
	if out := succeeds(t, "config", "lint", config); !strings.HasSuffix(out, "valid: 1 runner, 0 warnings\n") {
		t.Errorf("config lint says:\n%s", out)
	}
	if out := succeeds(t, "--config", config, "policy", "test", filepath.Join(dir, "cases")); !strings.HasSuffix(out, " passed, 0 failed\n") {
		t.Errorf("policy test says:\n%s", out)
	}
	if payload, ok := recipe["payload"]; ok {
		out := succeeds(t, "--config", config, "policy", "check", "--explain", "--job", write("payload.json", payload.Text))
		if out != recipe["output"].Text {
			t.Errorf("policy check says:\n%s\nthe document:\n%s", out, recipe["output"].Text)
		}
	}
}

// succeeds runs a command line and returns what it prints.
func succeeds(t *testing.T, args ...string) string {
	t.Helper()
	var out, said bytes.Buffer
	if code := run(t.Context(), args, nil, &out, &said); code != exitOK {
		t.Fatalf("runnerd %q: exit code %d\n%s%s", args, code, &out, &said)
	}
	return out.String()
}

// blocks returns the code blocks of a document.
func blocks(t *testing.T, name string) []markdown.Block {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("../../docs", name))
	if err != nil {
		t.Fatal(err)
	}
	return markdown.Blocks(string(text))
}
