package agent

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/runnerd/runnerd/pkg/job"
)

// TestTerminationLogFits: whatever the message is, Kubernetes keeps the whole
// result.
func TestTerminationLogFits(t *testing.T) {
	for _, message := range []string{"short", strings.Repeat("\x01", 10_000), strings.Repeat("日本", 5_000), strings.Repeat("\xff", 5_000)} {
		path := filepath.Join(t.TempDir(), "termination-log")
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		want := job.Outcome{State: job.Failed, Reason: job.ScriptFailure, ExitCode: 7, Message: message}
		if err := writeTerminationLog(path, job.Result{Outcome: want}); err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var got job.Result
		if len(text) > 4096 || json.Unmarshal(text, &got) != nil || got.ExitCode != 7 {
			t.Errorf("a message of %d bytes makes a termination log of %d bytes: %.60s", len(message), len(text), text)
		}
	}
}
