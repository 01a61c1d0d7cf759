package main

import (
	"bytes"
	"io"
	"os"
	"testing"

	"github.com/runnerd/runnerd/internal/configdoc"
	"github.com/runnerd/runnerd/internal/markdown"
)

// TestConfigure: docs/configure.md has every key, variable and flag that there is.
func TestConfigure(t *testing.T) {
	t.Setenv("CONFIG_FILE", "")
	keys, err := configdoc.Keys("../../pkg/config")
	if err != nil {
		t.Fatal(err)
	}
	environment, err := configdoc.Environment("../../pkg", ".")
	if err != nil {
		t.Fatal(err)
	}
	root := rootCommand(&app{stdout: io.Discard, stderr: io.Discard})
	regenerated(t, "configure.md", map[string]string{
		"keys": keys, "ignored": configdoc.Ignored(), "environment": environment, "commands": configdoc.Commands(root),
	})
}

// regenerated checks that a document has what a program makes now, and with
// -update puts it there.
func regenerated(t *testing.T, name string, parts map[string]string) {
	t.Helper()
	path := "../../docs/" + name
	have, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	want := string(have)
	for part, text := range parts {
		if want, err = markdown.Replace(want, part, text); err != nil {
			t.Fatalf("docs/%s: %v", name, err)
		}
	}
	if *update {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if !bytes.Equal(have, []byte(want)) {
		t.Errorf("docs/%s is not what the code says now; run `make docs`", name)
	}
}
