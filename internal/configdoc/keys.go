package configdoc

import (
	_ "embed"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/runnerd/runnerd/internal/markdown"
	"github.com/runnerd/runnerd/pkg/config"
)

// incumbents are the keys of GitLab Runner's config.toml for Kubernetes, by
// their path without positions.
//
//go:embed gitlab-runner.txt
var incumbents string

func incumbentKeys() map[string]bool {
	keys := map[string]bool{}
	for line := range strings.Lines(incumbents) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			keys[line] = true
		}
	}
	return keys
}

// nothing is a file that sets no more than it has to.
const nothing = `
[[runners]]
url = "https://gitlab.example.com"
token = "glrt-…"
executor = "kubernetes"
[runners.kubernetes]
namespace = "default"
`

// needed are the keys of nothing that have no default.
var needed = map[string]bool{"runners.url": true, "runners.token": true, "runners.executor": true}

// Keys returns the reference of config.toml in Markdown. dir is the folder of
// package config's sources.
func Keys(dir string) (string, error) {
	s, err := readSource(dir)
	if err != nil {
		return "", err
	}
	at, _, err := config.Parse("config.toml", []byte(nothing))
	if err != nil {
		return "", err
	}
	tables := walk(s, at)
	if err := errors.Join(unexplained(tables), unknown(tables)); err != nil {
		return "", err
	}
	theirs := incumbentKeys()
	var b strings.Builder
	for _, t := range tables {
		heading(&b, t)
		b.WriteString("| key | type | default | GitLab Runner | meaning |\n| --- | --- | --- | --- | --- |\n")
		for _, r := range t.rows {
			fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s |\n",
				strings.Join(r.names, "`, `"), kind(r, tables), standard(r), mark(theirs, r.paths[0]), cell(r.text))
		}
		b.WriteString("\n")
	}
	return strings.TrimSuffix(b.String(), "\n"), nil
}

// unexplained names the keys that have no comment.
func unexplained(tables []table) error {
	var errs []error
	for _, t := range tables {
		for _, r := range t.rows {
			if r.text == "" && r.below == 0 {
				errs = append(errs, fmt.Errorf("%s: no comment at its field in package config says what the key means", r.paths[0]))
			}
		}
	}
	return errors.Join(errs...)
}

func heading(b *strings.Builder, t table) {
	if t.headers[0] == "" {
		b.WriteString("### The beginning of the file\n\n")
		return
	}
	fmt.Fprintf(b, "### `%s`\n\n", t.headers[0])
	if len(t.headers) > 1 {
		fmt.Fprintf(b, "The same keys stand in `%s`.\n\n", strings.Join(t.headers[1:], "`, `"))
	}
	if t.text != "" {
		b.WriteString(cell(t.text) + "\n\n")
	}
}

// kind says of what type a key's value is; of a table where its keys are.
func kind(r row, tables []table) string {
	if r.below == 0 {
		return r.typ
	}
	return fmt.Sprintf("[`%s`](#%s)", r.typ, markdown.Anchor(tables[r.below].headers[0]))
}

func standard(r row) string {
	switch {
	case needed[r.paths[0]]:
		return "has to be set"
	case r.def != "":
		return "`" + r.def + "`"
	}
	return ""
}

// mark says whether GitLab Runner has a key of that path.
func mark(theirs map[string]bool, path string) string {
	switch {
	case ignored(strings.ToLower(path)):
		return "has it; no effect here"
	case theirs[path]:
		return "the same"
	}
	return "–"
}

// ignored reports whether path, or a table around it, has no effect.
func ignored(path string) bool {
	for key := range config.IgnoredKeys() {
		if path == key || strings.HasPrefix(path, key+".") {
			return true
		}
	}
	return false
}

// cell keeps a text from ending its cell of a table, and from being HTML.
func cell(text string) string {
	return strings.NewReplacer("|", `\|`, "<", "&lt;").Replace(text)
}

// Ignored returns, in Markdown, the keys of GitLab Runner that do nothing.
func Ignored() string {
	var b strings.Builder
	b.WriteString("| key of GitLab Runner | why it does nothing |\n| --- | --- |\n")
	reasons := config.IgnoredKeys()
	for _, path := range slices.Sorted(maps.Keys(reasons)) {
		fmt.Fprintf(&b, "| `%s` | %s |\n", path, cell(reasons[path]))
	}
	return b.String()
}

// unknown names the keys of GitLab Runner that config neither has nor ignores.
func unknown(tables []table) error {
	known := map[string]bool{}
	for _, t := range tables {
		for _, r := range t.rows {
			for _, p := range r.paths {
				known[p] = true
			}
		}
	}
	var errs []error
	for _, key := range slices.Sorted(maps.Keys(incumbentKeys())) {
		if !known[key] && !ignored(strings.ToLower(key)) {
			errs = append(errs, fmt.Errorf("%s: a key of GitLab Runner that config.toml neither has nor names as one without effect", key))
		}
	}
	return errors.Join(errs...)
}
