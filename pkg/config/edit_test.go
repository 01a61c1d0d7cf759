package config

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const twoRunners = `# Our runners. Ask #ci before you change anything.
concurrent = 4 # enough

# Team A
[[runners]]
  name = "a"   # the old one
  url = "https://gitlab.example.com"
  token = 'glrt-aaa'
  executor = "kubernetes"
  [runners.kubernetes]
    namespace = "a"

# Team B
# (moved here in May)
[[runners]]
  name = "b"
  url = "https://gitlab.example.com"
  token = "glrt-bbb"
  token_obtained_at = 2026-01-01T00:00:00Z
  executor = "kubernetes"
  [runners.kubernetes]
    namespace = "b"

# last words
`

func TestRemoveRunner(t *testing.T) {
	teamA, teamB, last := strings.Index(twoRunners, "# Team A"), strings.Index(twoRunners, "# Team B"), strings.Index(twoRunners, "# last words")
	tests := []struct {
		name, text string
		i          int
		want       string
	}{
		{name: "first", text: twoRunners, i: 0, want: twoRunners[:teamA] + twoRunners[teamB:]},
		{name: "last", text: twoRunners, i: 1, want: twoRunners[:teamB] + twoRunners[last:]},
		{
			name: "tables of the entry elsewhere in the file", i: 0,
			text: "[[runners]]\nname = \"a\"\n[session_server]\nsession_timeout = 1\n[runners.kubernetes]\nnamespace = \"a\"\n[labels]\nzone = \"a01\"\n",
			want: "[session_server]\nsession_timeout = 1\n[labels]\nzone = \"a01\"\n",
		},
		{
			name: "a comment at the top is the file's", i: 0,
			text: "# Managed by ci.\n[[runners]]\nname = \"a\"", want: "# Managed by ci.\n",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := RemoveRunner("config.toml", []byte(tt.text), tt.i)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, string(got)); diff != "" {
				t.Errorf("RemoveRunner(%d) (-want +got):\n%s", tt.i, diff)
			}
		})
	}
}

func TestRemoveRunnerRefuses(t *testing.T) {
	tests := []struct{ name, text, want string }{
		{name: "no such entry", text: twoRunners, want: "config.toml: runners[2]: not written as a [[runners]] block; take it out by hand"},
		{
			name: "inline", text: `runners = [{ name = "a" }, { name = "b" }, { name = "c" }]`,
			want: "config.toml: runners[2]: not written as a [[runners]] block; take it out by hand",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := RemoveRunner("config.toml", []byte(tt.text), 2); err == nil || err.Error() != tt.want {
				t.Errorf("RemoveRunner = %v, want %q", err, tt.want)
			}
		})
	}
}

func TestAppendRunner(t *testing.T) {
	got, err := AppendRunner("config.toml", []byte(twoRunners), NewRunner{
		Name: `c "the third"`, URL: "https://gitlab.example.com", ID: 7, Token: "glrt-ccc", Executor: "kubernetes",
		TokenObtainedAt: time.Date(2026, 11, 22, 10, 0, 0, 5, time.FixedZone("", 3600)), Namespace: "c",
	})
	if err != nil {
		t.Fatal(err)
	}
	want := twoRunners + `
[[runners]]
  name = "c \"the third\""
  url = "https://gitlab.example.com"
  id = 7
  token = "glrt-ccc"
  token_obtained_at = 2026-11-22T09:00:00Z
  executor = "kubernetes"
  [runners.kubernetes]
    namespace = "c"
`
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("AppendRunner (-want +got):\n%s", diff)
	}
}

func TestAppendRunnerFromTemplate(t *testing.T) {
	template := "# from the platform team\n[[runners]]\n  limit = 5\n  token = \"\" # filled in\n  [runners.kubernetes]\n    namespace = \"old\"\n    cpu_limit = \"1\"\n  [runners.cache]\n    Type = \"\"\n"
	got, err := AppendRunner("config.toml", nil, NewRunner{
		Name: "t", URL: "https://g", Token: "glrt-t", Executor: "kubernetes", Namespace: "new", Image: "alpine",
		Template: []byte(template), TemplateName: "template.toml",
	})
	if err != nil {
		t.Fatal(err)
	}
	want := `# from the platform team
[[runners]]
  name = "t"
  url = "https://g"
  executor = "kubernetes"
  limit = 5
  token = "glrt-t" # filled in
  [runners.kubernetes]
    image = "alpine"
    namespace = "new"
    cpu_limit = "1"
  [runners.cache]
    Type = ""
`
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("AppendRunner (-want +got):\n%s", diff)
	}

	for text, want := range map[string]string{
		"concurrent = 2\n[[runners]]\n":     "t.toml: a template holds one [[runners]] entry and nothing else",
		"[[runners]]\nlimt = 5\n":           `t.toml:2: runners[0].limt: unknown key; did you mean "limit"?`,
		"[[runners]]\nlimit = 5\nlimit=1\n": "t.toml:3: Key 'runners.limit' has already been defined.; correct the TOML of this line, or of the one above it",
	} {
		_, err := AppendRunner("config.toml", nil, NewRunner{Template: []byte(text), TemplateName: "t.toml"})
		if err == nil || err.Error() != want {
			t.Errorf("AppendRunner with template %q = %v, want %q", text, err, want)
		}
	}
}

func TestSetToken(t *testing.T) {
	obtained, expires := time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC), time.Date(2026, 8, 1, 0, 0, 0, 0, time.UTC)
	got, err := SetToken("config.toml", []byte(twoRunners), 1, "glrt-new", obtained, expires)
	if err != nil {
		t.Fatal(err)
	}
	want := strings.NewReplacer(
		`"glrt-bbb"`, `"glrt-new"`, "2026-01-01T00:00:00Z", "2026-05-01T00:00:00Z",
		"name = \"b\"", "token_expires_at = 2026-08-01T00:00:00Z\n  name = \"b\"",
	).Replace(twoRunners)
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("SetToken (-want +got):\n%s", diff)
	}
	if _, err := SetToken("c", []byte("[[runners]]\ntoken = \"${T}\"\n"), 0, "x", obtained, expires); err == nil ||
		err.Error() != "c:2: runners[0].token: comes from the environment; replace it there" {
		t.Errorf("SetToken over a reference = %v, want a refusal", err)
	}
}

func TestWriteFile(t *testing.T) {
	dir := t.TempDir()
	target, link := filepath.Join(dir, "real", "config.toml"), filepath.Join(dir, "link.toml")
	for _, text := range []string{"concurrent = 1\n", "concurrent = 2\n"} { // made, then replaced
		if err := WriteFile(target, []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(target, link); err != nil {
		t.Fatal(err)
	}
	if err := WriteFile(link, []byte("concurrent = 3\n")); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(target)
	if err != nil || string(text) != "concurrent = 3\n" {
		t.Errorf("file behind the link = %q, %v, want the new text", text, err)
	}
	if info, err := os.Lstat(link); err != nil || info.Mode().Type() != fs.ModeSymlink {
		t.Errorf("link is %v, %v, want it to stay a link", info, err)
	}
	if info, err := os.Stat(target); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode = %v, %v, want 0600", info.Mode(), err)
	}
	if left, err := os.ReadDir(filepath.Dir(target)); err != nil || len(left) != 1 {
		t.Errorf("the folder holds %v, %v, want the file only", left, err)
	}
	if err := WriteFile(filepath.Join(target, "below-a-file"), nil); !errors.Is(err, fs.ErrExist) && err == nil {
		t.Error("WriteFile below a file succeeded")
	}
}
