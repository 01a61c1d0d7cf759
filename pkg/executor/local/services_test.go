package local_test

import (
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/runnerd/runnerd/pkg/executor/local"
	"github.com/runnerd/runnerd/pkg/job"
)

// warnings keeps what the executor warns of.
type warnings []string

func (w *warnings) Info(string)      {}
func (w *warnings) Warn(line string) { *w = append(*w, line) }

// There are no services here, so the job is told which ones it lacks, and does
// not wait for them.
func TestRunWithServices(t *testing.T) {
	root, out := t.TempDir(), newLog()
	e := local.New(local.Config{Agent: agent, Root: root}, zap.NewNop())
	task, _ := task(t, root, out, "echo hello")
	var warned warnings
	task.Notes = &warned
	task.Plan.Services = []job.Service{{Image: job.Image{Name: "postgres:16"}, Aliases: []string{"db"}}, {Image: job.Image{Name: "redis:7"}}}
	task.Plan.Helper.Services = []job.ServiceCheck{{Name: "db", Ports: []int{1}, Timeout: time.Hour}}
	got, err := e.Run(t.Context(), task)
	if err != nil || got.State != job.Success {
		t.Errorf("outcome = %+v (%v), want success; the log:\n%s", got, err, out)
	}
	if len(warned) != 1 || !strings.Contains(warned[0], "without db, redis:7") {
		t.Errorf("warnings %q, want one with both names", []string(warned))
	}
	if err := e.Remove(t.Context(), task); err != nil {
		t.Error(err)
	}
}
