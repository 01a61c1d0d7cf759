//go:build e2e

package e2e

import (
	"testing"

	"github.com/runnerd/runnerd/internal/standin"
)

// TestOutOfMemory: a job's log says which container had too little memory, and how
// much it had, whether the kernel kills a process or the whole container.
func TestOutOfMemory(t *testing.T) {
	t.Parallel()
	const eat = "head -c 300M /dev/zero | tail"
	s := start(t, options{
		runner:     `pre_get_sources_script = "if [ -n \"$HELPER_EATS\" ]; then ` + eat + `; fi"`,
		kubernetes: "memory_limit = \"64Mi\"\nhelper_memory_limit = \"64Mi\"",
	})
	build := s.add(standin.JobSpec{Name: "build", Script: []string{"echo begun", eat}})
	helper := s.add(standin.JobSpec{
		Name: "helper", Script: []string{"echo never"},
		Variables: []standin.Variable{{Key: "HELPER_EATS", Value: "yes", Public: true}},
	})
	s.finish(build, standin.Failed)
	says(t, build, "uild container ran out of memory", "64")
	if build.FailureReason() != "script_failure" || build.ExitCode() != 137 {
		t.Errorf("build: %s, exit code %d; its log:\n%s", build.FailureReason(), build.ExitCode(), build.Text())
	}
	s.finish(helper, standin.Failed)
	says(t, helper, "helper container ran out of memory", "64")
	t.Logf("build: %s\nhelper: %s", build.Text(), helper.Text())
}
