package agent_test

import (
	"crypto/sha256"
	"encoding/hex"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/runnerd/runnerd/internal/standin"
	"github.com/runnerd/runnerd/pkg/job"
)

// The statement has the name of its artifact, as GITLAB_ENV has made it, and
// lies in the archive only.
func TestProvenance(t *testing.T) {
	t.Parallel()
	c := newCoordinator(t)
	p, j := c.pod(standin.JobSpec{}, "mkdir out", "echo text > out/file", `echo VERSION=1.2 >> "$GITLAB_ENV"`)
	plan := archivePlan("out")
	plan.Name = "app-$VERSION"
	report := job.ArtifactPlan{Name: "report", Paths: []string{"out/file"}, When: job.WhenAlways, Type: "junit", Format: job.FormatGzip, Level: "default"}
	p.helper.Artifacts = []job.ArtifactPlan{plan, report}
	p.helper.Started = time.Now()
	p.helper.Provenance = &job.ProvenancePlan{
		Source: "https://gitlab.example.com/g/p", EntryPoint: "build", Parameters: []string{"CI"}, Runner: "r", Product: "runnerd", Version: "1.2.3",
	}
	wantOutcome(t, p.run(), exited(0))
	if got := uploads(j); got != "archive=app-1.2.zip junit=report.gz" {
		t.Errorf("uploads %s", got)
	}
	files := unzipped(t, j.Uploads()[0].Data)
	text := files["app-1.2-metadata.json"]
	sum := sha256.Sum256([]byte("text\n"))
	for _, want := range []string{
		`"name": "out/file"`, hex.EncodeToString(sum[:]), `"architecture": "` + runtime.GOARCH + `"`, `"runnerd": "1.2.3"`, `"entryPoint": "build"`, `"CI": ""`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the statement lacks %s:\n%s", want, text)
		}
	}
	p.wants("Adding a provenance statement, app-1.2-metadata.json")
}
