package state

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestNew(t *testing.T) {
	t.Setenv("RUNNERD_CLUSTER_NAME", "")
	t.Setenv("RUNNERD_CLUSTER_DIR", "")
	t.Setenv("RUNNERD_CACHE", t.TempDir())
	mine := Cluster{Name: "mine", Dir: t.TempDir()}
	if err := mine.Claim(); err != nil {
		t.Fatal(err)
	}
	full := t.TempDir()
	if err := os.WriteFile(filepath.Join(full, "thesis.txt"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name, cluster, dir string
		problem            string // "" means none
	}{
		{name: "default", cluster: "", dir: ""},
		{name: "own folder", cluster: "mine", dir: mine.Dir},
		{name: "folder of another cluster", cluster: "other", dir: mine.Dir, problem: `belongs to cluster "mine"`},
		{name: "folder with something else in it", cluster: "other", dir: full, problem: "holds no cluster"},
		{name: "name that is a path", cluster: "../x", problem: "cluster name"},
		{name: "folder too long for sockets", cluster: "x", dir: "/" + strings.Repeat("d", 80), problem: "80 bytes"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := New(tt.cluster, tt.dir)
			if tt.problem == "" && err != nil {
				t.Errorf("New(%q, %q): %v", tt.cluster, tt.dir, err)
			}
			if tt.problem != "" && (err == nil || !strings.Contains(err.Error(), tt.problem)) {
				t.Errorf("New(%q, %q): %v, want %q in it", tt.cluster, tt.dir, err, tt.problem)
			}
		})
	}
}
