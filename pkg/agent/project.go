package agent

import (
	"fmt"

	"github.com/runnerd/runnerd/pkg/confine"
)

// project returns the project directory. It is opened before the job's script
// runs: afterwards its path may lead anywhere, the helper's secrets included.
func (h *helper) project() (*confine.Root, error) {
	if h.root == nil {
		root, err := confine.Open(h.plan.ProjectDir)
		if err != nil {
			return nil, fmt.Errorf("open the project directory: %w", err)
		}
		h.root = root
	}
	return h.root, nil
}

func (h *helper) closeProject() {
	if h.root != nil {
		_ = h.root.Close() // nothing was written through it
		h.root = nil
	}
}
