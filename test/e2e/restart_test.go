//go:build e2e

package e2e

import (
	"fmt"
	"strings"
	"testing"

	"github.com/runnerd/runnerd/internal/standin"
)

// TestRestarts: a component of the cluster goes away in mid-job; the job
// succeeds and its log is complete.
func TestRestarts(t *testing.T) {
	for _, component := range []string{"kubelet", "apiserver"} {
		t.Run(component, func(t *testing.T) {
			s := start(t, options{})
			const command = `for i in $(seq 1 60); do echo "line $i"; sleep 0.25; done`
			j := s.add(standin.JobSpec{Name: component, Script: []string{command}})
			s.until(j, "the first lines", func(j *standin.Job) bool { return strings.Contains(j.Text(), "\nline 5\n") })
			clusterTool(t, "restart", component, "--name", ground.name)
			s.finish(j, standin.Success)
			var output strings.Builder
			for i := 1; i <= 60; i++ {
				fmt.Fprintf(&output, "line %d\n", i)
			}
			if got, want := section(t, j.Text(), "step_script"), scriptSection(output.String(), command); got != want {
				t.Errorf("script section = %q, want %q", got, want)
			}
		})
	}
}
