package local

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/runnerd/runnerd/pkg/job"
)

// A folder holds the files of one job, laid out like the volumes of its pod.
type folder struct{ root string }

func (f folder) plan() string    { return filepath.Join(f.root, "plan") }
func (f folder) share() string   { return filepath.Join(f.root, "share") }
func (f folder) control() string { return filepath.Join(f.root, "control") }
func (f folder) home() string    { return filepath.Join(f.root, "home") }

// create makes the folder and writes the plan into it. What a daemon that was
// killed has left there of a job with the same number is removed: another
// GitLab's, as a rule, since the folder is this machine's.
func (f folder) create(plan *job.Plan) error {
	if err := os.RemoveAll(f.root); err != nil {
		return err
	}
	for _, dir := range []string{f.plan(), f.share(), f.control(), f.home(), plan.Helper.BuildsDir} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return err
		}
	}
	helper := plan.Helper
	helper.Services = nil // there are none here to wait for
	for name, part := range map[string]any{job.HelperPlanFile: helper, job.BuildPlanFile: plan.Build} {
		data, err := job.EncodePlan(part)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(f.plan(), name), data, 0o600); err != nil {
			return err
		}
	}
	for _, name := range []string{"signal", "resend"} {
		if err := os.WriteFile(filepath.Join(f.control(), name), nil, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// signal tells the helper something, as a pod's annotation would.
func (f folder) signal(word string) error {
	aside := filepath.Join(f.control(), ".signal")
	if err := os.WriteFile(aside, []byte(word), 0o600); err != nil {
		return fmt.Errorf("write signal: %w", err)
	}
	return os.Rename(aside, filepath.Join(f.control(), "signal"))
}
