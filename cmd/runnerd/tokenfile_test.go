package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/runnerd/runnerd/internal/standin"
)

// TestTokenFile: the token comes from a file of its own, and another one that is
// put there, as a changed Secret is, is taken up without a signal.
func TestTokenFile(t *testing.T) {
	t.Parallel()
	s := newSite(t, standin.Options{}, standin.RunnerSpec{})
	other := s.gitlab.AddRunner(standin.RunnerSpec{})
	file := filepath.Join(s.dir, "runner-token")
	put := func(token string) {
		aside := file + ".new"
		if err := os.WriteFile(aside, []byte(token+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(aside, file); err != nil {
			t.Fatal(err)
		}
	}
	put(s.runner.Token())
	text := s.configText("", "token_file = \""+file+"\"")
	s.start(strings.Replace(text, "token = \""+s.runner.Token()+"\"\n", "", 1))
	s.ends(s.gitlab.AddJob(standin.JobSpec{Runner: s.runner}), standin.Success, "")
	put(other.Token())
	s.ends(s.gitlab.AddJob(standin.JobSpec{Runner: other}), standin.Success, "")
}
