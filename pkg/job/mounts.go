package job

import (
	"path"
	"strings"
)

// PodDir is where runnerd's own volumes are mounted in the containers of a pod.
const PodDir = "/runnerd"

// AgentPath is the agent in the helper image.
const AgentPath = "/usr/bin/runnerd-agent"

// HidesOwn returns what of runnerd's own in a pod a volume mounted at dir, an
// absolute path, would hide or be mixed up with; "" for nothing.
func HidesOwn(dir string) string {
	dir = path.Clean(dir)
	for _, own := range []string{PodDir, AgentPath} {
		if below(own, dir) {
			return own
		}
	}
	if below(dir, PodDir) {
		return PodDir
	}
	return ""
}

// below reports whether p is dir or lies below it. Both are clean.
func below(p, dir string) bool {
	return p == dir || strings.HasPrefix(p, strings.TrimSuffix(dir, "/")+"/")
}
