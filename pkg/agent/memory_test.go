package agent

import (
	"os"
	"path/filepath"
	"testing"
)

// TestMemory: both versions of control groups are read, and what is not there is not
// made up.
func TestMemory(t *testing.T) {
	for _, tt := range []struct {
		name  string
		files map[string]string
		want  memoryUse
		says  string
	}{
		{name: "none"},
		{
			name: "version 2", want: memoryUse{peak: 66 << 20, limit: 64 << 20, kills: 2},
			files: map[string]string{"memory.max": "67108864\n", "memory.peak": "69206016\n", "memory.events": "low 0\nmax 9\noom 3\noom_kill 2\n"},
			says:  "The build container ran out of memory: the kernel has killed 2 processes (peak 66.0 MiB, limit 64.0 MiB)",
		},
		{
			name: "version 2 without a peak or limit", want: memoryUse{kills: 1},
			files: map[string]string{"memory.max": "max\n", "memory.events": "oom_kill 1\n"},
			says:  "The build container ran out of memory: the kernel has killed a process",
		},
		{
			name: "version 1", want: memoryUse{peak: 64 << 20, limit: 64 << 20, kills: 1},
			files: map[string]string{
				"memory/memory.max_usage_in_bytes": "67108864\n", "memory/memory.limit_in_bytes": "67108864\n",
				"memory/memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 1\n",
			},
			says: "The build container ran out of memory: the kernel has killed a process (peak 64.0 MiB, limit 64.0 MiB)",
		},
		{
			name: "version 1 without a limit", want: memoryUse{peak: 1 << 20},
			files: map[string]string{"memory/memory.max_usage_in_bytes": "1048576\n", "memory/memory.limit_in_bytes": "9223372036854771712\n"},
		},
	} {
		dir := t.TempDir()
		for name, text := range tt.files {
			path := filepath.Join(dir, name)
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		got := readMemory(dir)
		if got != tt.want {
			t.Errorf("%s: %+v, want %+v", tt.name, got, tt.want)
		}
		if says := got.warning("build", memoryUse{}); says != tt.says {
			t.Errorf("%s: says %q, want %q", tt.name, says, tt.says)
		}
		if says := got.warning("build", got); says != "" {
			t.Errorf("%s: says %q of what was before", tt.name, says)
		}
	}
}
