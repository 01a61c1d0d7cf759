package lifecycle

import (
	"testing"

	"github.com/runnerd/runnerd/pkg/job"
)

func TestEnforced(t *testing.T) {
	tests := []struct {
		by   job.Enforced
		want string
	}{
		{job.Enforced{}, ""},
		{job.Enforced{By: "scans"}, `Job was added by the pipeline execution policy "scans"`},
		{
			job.Enforced{By: "scans", Override: job.True},
			`Job was added by the pipeline execution policy "scans"; the project's variables override the policy's`,
		},
		{
			job.Enforced{By: "scans", Override: job.False, Exceptions: []string{"A", "B"}},
			`Job was added by the pipeline execution policy "scans"; the project's variables do not override the policy's, except A, B`,
		},
	}
	for _, tt := range tests {
		if got := enforced(tt.by); got != tt.want {
			t.Errorf("enforced(%+v) = %q, want %q", tt.by, got, tt.want)
		}
	}
}
