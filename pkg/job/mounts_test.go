package job

import "testing"

func TestHidesOwn(t *testing.T) {
	for dir, want := range map[string]string{
		"/cache": "", "/runnerd-cache": "", "/usr/share/x": "", "/usr/bin2": "", "/builds": "",
		"/": PodDir, "/runnerd": PodDir, "/runnerd/": PodDir, "/runnerd/share/x": PodDir, "/x/../runnerd/plan": PodDir,
		"/usr": AgentPath, "/usr/bin": AgentPath, "/usr/bin/runnerd-agent": AgentPath,
	} {
		if got := HidesOwn(dir); got != want {
			t.Errorf("HidesOwn(%q) = %q, want %q", dir, got, want)
		}
	}
}
