//go:build e2e

// Run inside the test cluster (test/cluster):
//
//	cluster up
//	image=$(cluster images --helper-agent PATH)
//	cluster exec -- env RUNNERD_HELPER_IMAGE=$image go test -tags e2e -run E2E ./pkg/executor/kubernetes
package kubernetes_test

import (
	"context"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest"

	"github.com/runnerd/runnerd/pkg/executor"
	"github.com/runnerd/runnerd/pkg/executor/kubernetes"
	"github.com/runnerd/runnerd/pkg/job"
)

func image(name string) string { return os.Getenv("RUNNERD_REGISTRY") + "/" + name }

// real is an executor on the test cluster.
type real struct {
	*kubernetes.Executor
	client kubernetes.Client
}

func newReal(t testing.TB, cfg kubernetes.Config) *real {
	t.Helper()
	cfg.HelperImage = os.Getenv("RUNNERD_HELPER_IMAGE")
	if cfg.HelperImage == "" {
		t.Fatal("RUNNERD_HELPER_IMAGE is not set: the helper image of this tree's agent")
	}
	client, err := kubernetes.Connect(kubernetes.Connection{UserAgent: "runnerd-e2e"})
	if err != nil {
		t.Fatal(err)
	}
	id := kubernetes.Identity{SystemID: "r_" + strconv.FormatInt(time.Now().UnixNano()%1e12, 10), ShortToken: "e2e", RunnerName: "e2e", GitLabURL: "https://gitlab.test"}
	e, err := kubernetes.New(client, id, cfg, zaptest.NewLogger(t, zaptest.Level(zap.WarnLevel)))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var watch sync.WaitGroup
	watch.Go(func() {
		if err := e.Watch(ctx); err != nil {
			t.Errorf("Watch: %v", err)
		}
	})
	t.Cleanup(func() { cancel(); watch.Wait() })
	return &real{Executor: e, client: client}
}

// liveLog lets a test wait for what a job prints.
type liveLog struct {
	mu   sync.Mutex
	text strings.Builder
	grew chan struct{}
}

func (l *liveLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	close(l.grew)
	l.grew = make(chan struct{})
	return l.text.Write(p)
}

func (l *liveLog) get() (string, <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String(), l.grew
}

// A liveJob is a job on the test cluster.
type liveJob struct {
	t       testing.TB
	task    executor.Task
	log     *liveLog
	notes   *notes
	signals chan job.Signal
	cancel  context.CancelCauseFunc
	began   time.Time
	done    chan struct{}
	outcome job.Outcome
	err     error
}

func (r *real) start(t testing.TB, plan *job.Plan) *liveJob {
	t.Helper()
	j := &liveJob{
		t: t, log: &liveLog{grew: make(chan struct{})}, notes: &notes{}, signals: make(chan job.Signal, 1),
		done: make(chan struct{}), began: time.Now(),
	}
	j.task = executor.Task{Plan: plan, Log: j.log, Notes: j.notes, Signals: j.signals}
	var ctx context.Context
	ctx, j.cancel = context.WithCancelCause(context.Background())
	go func() {
		defer close(j.done)
		j.outcome, j.err = r.Run(ctx, j.task)
	}()
	t.Cleanup(func() {
		j.cancel(context.Canceled)
		<-j.done
		if err := r.Remove(context.Background(), j.task); err != nil {
			t.Errorf("Remove: %v", err)
		}
	})
	return j
}

// await waits until the job has printed text.
func (j *liveJob) await(text string) {
	j.t.Helper()
	late := time.After(time.Minute)
	for {
		log, grew := j.log.get()
		if strings.Contains(log, text) {
			return
		}
		select {
		case <-grew:
		case <-j.done:
			if log, _ := j.log.get(); !strings.Contains(log, text) {
				j.t.Fatalf("job ended (%+v, %v) before it printed %q:\n%s", j.outcome, j.err, text, log)
			}
		case <-late:
			j.t.Fatalf("job did not print %q:\n%s", text, log)
		}
	}
}

func (j *liveJob) wait() {
	j.t.Helper()
	select {
	case <-j.done:
	case <-time.After(3 * time.Minute):
		log, _ := j.log.get()
		j.t.Fatalf("job does not end; notes: %s\nlog:\n%s", j.notes, log)
	}
}

var lastJob = struct {
	sync.Mutex
	id int64
}{id: time.Now().UnixMilli()}

func livePlan(image string, script ...string) *job.Plan {
	lastJob.Lock()
	defer lastJob.Unlock()
	lastJob.id++
	dir := "/builds/group/project"
	return &job.Plan{
		JobID: lastJob.id, ProjectID: 7, ProjectPath: "group/project", JobName: "e2e", Timeout: 10 * time.Minute,
		Image: job.Image{Name: image},
		Helper: job.HelperPlan{
			Version: job.PlanVersion, JobID: lastJob.id, Timeout: 10 * time.Minute, BuildsDir: "/builds", ProjectDir: dir, TempDir: dir + ".tmp",
			HostName: "e2e", Sources: job.Sources{Strategy: job.StrategyEmpty, Attempts: 1},
			Steps: []job.HelperStep{{Name: "script", Phase: "step_script", Title: "script"}},
		},
		Build: job.BuildPlan{
			Version: job.PlanVersion, ProjectDir: dir, TempDir: dir + ".tmp", EnvFile: dir + ".tmp/gitlab_runner_env",
			Steps: []job.BuildStep{{Name: "script", Script: script}},
		},
	}
}

func withAfterScript(p *job.Plan, script ...string) *job.Plan {
	p.Helper.Steps = append(p.Helper.Steps, job.HelperStep{Name: "after_script", Phase: "after_script", Title: "after", After: true, Timeout: time.Minute})
	p.Build.Steps = append(p.Build.Steps, job.BuildStep{Name: "after_script", Script: script})
	return p
}
