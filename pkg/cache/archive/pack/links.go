package pack

import (
	"slices"

	"github.com/runnerd/runnerd/pkg/cache/archive/tree"
)

// links returns the entries with each hard link made a file whose target is not
// among them, and the set of all targets.
func links(entries []tree.Entry) (_ []tree.Entry, targets map[string]bool) {
	targets = map[string]bool{}
	for i := range entries {
		if link := entries[i].Link; link != "" {
			targets[link] = false
		}
	}
	if len(targets) == 0 {
		return entries, targets
	}
	for i := range entries {
		if _, ok := targets[entries[i].Path]; ok && entries[i].Kind == tree.File {
			targets[entries[i].Path] = true
		}
	}
	entries = slices.Clone(entries)
	for i := range entries {
		if !targets[entries[i].Link] {
			entries[i].Link = ""
		}
	}
	return entries, targets
}
