package config

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestTokenFile(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	pipe := filepath.Join(dir, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink(write("target", "glrt-linked"), link); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name, path string
		more       string // further keys
		want       string // the token, or what the problem says
		problem    bool
	}{
		{name: "a line", path: write("line", "glrt-abc\n"), want: "glrt-abc"},
		{name: "a symlink, as in a mounted Secret", path: link, want: "glrt-linked"},
		{name: "no file", path: filepath.Join(dir, "none"), want: "no such file or directory", problem: true},
		{name: "an empty file", path: write("empty", " \n"), want: "is empty", problem: true},
		{name: "two words", path: write("words", "glrt-abc glrt-def"), want: "more than one word", problem: true},
		{name: "something long", path: write("long", strings.Repeat("a", 5000)), want: "larger than 4096 bytes", problem: true},
		{name: "a pipe", path: pipe, want: "no regular file", problem: true},
		{name: "a token as well", path: write("both", "glrt-abc"), more: "token = \"glrt-def\"\n", want: "exclude each other", problem: true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, _, err := Parse("config.toml", fmt.Appendf(nil, "[[runners]]\nurl = \"https://gitlab.example.com\"\nexecutor = \"local\"\ntoken_file = %q\n%s", tt.path, tt.more))
			switch {
			case tt.problem && (err == nil || !strings.HasPrefix(err.Error(), "config.toml:4: runners[0].token_file: ") || !strings.Contains(err.Error(), tt.want)):
				t.Errorf("Parse = %v, want a problem in line 4 with %q", err, tt.want)
			case tt.problem && strings.Contains(err.Error(), "glrt-"+"abc"):
				t.Errorf("the problem shows the token: %v", err)
			case !tt.problem && err != nil:
				t.Error(err)
			case !tt.problem && c.Runners[0].Token.Reveal() != tt.want:
				t.Errorf("token %q, want %q", c.Runners[0].Token.Reveal(), tt.want)
			}
		})
	}
}
