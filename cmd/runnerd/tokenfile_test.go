package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/zap"

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

// TestStateDir: the system id goes where it is told to, and not beside a config
// file that cannot have it.
func TestStateDir(t *testing.T) {
	dir := t.TempDir()
	t.Setenv(stateDirVariable, dir)
	config := filepath.Join(t.TempDir(), "config.toml")
	id, err := loadSystemID(config, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	again, err := loadSystemID(config, zap.NewNop())
	if err != nil || again != id {
		t.Errorf("the second start has system id %q (%v), want %q", again, err, id)
	}
	if _, err := os.Stat(filepath.Join(filepath.Dir(config), ".runner_system_id")); !os.IsNotExist(err) {
		t.Errorf("beside the config file there is a system id as well: %v", err)
	}
}
