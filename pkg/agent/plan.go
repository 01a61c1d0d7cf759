package agent

import (
	"compress/gzip"
	"encoding/json"
	"fmt"
	"os"

	"github.com/runnerd/runnerd/pkg/job"
)

// readPlan reads a plan, gzip'd JSON, into plan, whose Version field version
// points to.
func readPlan(path string, plan any, version *int) error {
	file, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("read plan: %w", err)
	}
	defer file.Close()
	zip, err := gzip.NewReader(file)
	if err != nil {
		return fmt.Errorf("read plan %s: %w", path, err)
	}
	if err := json.NewDecoder(zip).Decode(plan); err != nil {
		return fmt.Errorf("read plan %s: %w", path, err)
	}
	if *version != job.PlanVersion {
		return fmt.Errorf("read plan %s: version %d, this agent knows version %d: use the agent of the daemon's release", path, *version, job.PlanVersion)
	}
	return nil
}
