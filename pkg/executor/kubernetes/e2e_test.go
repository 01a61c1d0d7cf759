//go:build e2e

// Run inside the test cluster (test/cluster):
//
//	cluster up
//	image=$(cluster images --helper-agent PATH)
//	cluster exec -- env RUNNERD_HELPER_IMAGE=$image go test -tags e2e -run E2E ./pkg/executor/kubernetes
package kubernetes_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

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

func newReal(t *testing.T, cfg kubernetes.Config) *real {
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
	e, err := kubernetes.New(client, id, cfg, zaptest.NewLogger(t, zaptest.Level(zap.InfoLevel)))
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
	t       *testing.T
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

func (r *real) start(t *testing.T, plan *job.Plan) *liveJob {
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

// The project's promise: at most half a second above a bare pod.
func TestE2EStartOfScript(t *testing.T) {
	no := false
	r := newReal(t, kubernetes.Config{AutomountServiceAccountToken: &no}) // as the bare pod
	const rounds = 13
	var bare, ours, total, removal []time.Duration
	for i := range rounds {
		if d := barePod(t, r, fmt.Sprintf("bare-%d-%d", time.Now().Unix(), i)); i > 0 { // the first one pulls
			bare = append(bare, d)
		}
		j := r.start(t, livePlan(image("test/debian:1"), "date +ran-%s.%N"))
		j.wait()
		ended := time.Since(j.began)
		log, _ := j.log.get()
		if j.err != nil || j.outcome.State != job.Success {
			t.Fatalf("Run = %+v, %v\n%s", j.outcome, j.err, log)
		}
		at := time.Now()
		if err := r.Remove(context.Background(), j.task); err != nil {
			t.Fatal(err)
		}
		if i > 0 {
			ours = append(ours, stamp(t, log).Sub(j.began))
			total = append(total, ended)
			removal = append(removal, time.Since(at))
		}
	}
	t.Logf("create → runs: bare pod %v; script %v; Run returns %v; Remove takes %v", bare, ours, total, removal)
	t.Logf("medians: bare %v, script %v, Run %v, Remove %v", median(bare), median(ours), median(total), median(removal))
	if over := median(ours) - median(bare); over > 500*time.Millisecond {
		t.Errorf("script starts %v after a bare pod would, want at most 500ms", over)
	}
	if median(removal) > 2500*time.Millisecond {
		t.Errorf("Remove takes %v, want about two seconds of the kubelet", median(removal))
	}
}

func median(list []time.Duration) time.Duration {
	slices.Sort(list)
	return list[len(list)/2]
}

// stamp finds the time that a script printed; all clocks are one machine's.
func stamp(t *testing.T, log string) time.Time {
	t.Helper()
	for line := range strings.Lines(log) {
		_, text, ok := strings.Cut(strings.TrimSpace(line), "ran-")
		if !ok || strings.HasPrefix(text, "%") {
			continue
		}
		seconds, nanos, _ := strings.Cut(text, ".")
		s, err1 := strconv.ParseInt(seconds, 10, 64)
		n, err2 := strconv.ParseInt(nanos, 10, 64)
		if err1 == nil && err2 == nil {
			return time.Unix(s, n)
		}
	}
	t.Fatalf("no time in log:\n%s", log)
	return time.Time{}
}

func barePod(t *testing.T, r *real, name string) time.Duration {
	t.Helper()
	ctx := context.Background()
	pods := r.client.API.CoreV1().Pods("default")
	began := time.Now()
	no := false
	_, err := pods.Create(ctx, &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: corev1.PodSpec{
			RestartPolicy: corev1.RestartPolicyNever, AutomountServiceAccountToken: &no,
			Containers: []corev1.Container{{Name: "c", Image: image("test/debian:1"), Command: []string{"date", "+ran-%s.%N"}}},
		},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = pods.Delete(ctx, name, metav1.DeleteOptions{GracePeriodSeconds: new(int64)}) }()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for range 300 {
		<-tick.C
		text, err := pods.GetLogs(name, &corev1.PodLogOptions{}).DoRaw(ctx)
		if err == nil && strings.Contains(string(text), "ran-") {
			return stamp(t, string(text)).Sub(began)
		}
	}
	t.Fatal("bare pod did not run")
	return 0
}

func TestE2ECancelRunsAfterScript(t *testing.T) {
	r := newReal(t, kubernetes.Config{})
	j := r.start(t, withAfterScript(livePlan(image("test/debian:1"), "echo begun", "sleep 300"), "echo after-$CI_JOB_STATUS"))
	j.await("\nbegun")
	at := time.Now()
	j.signals <- job.CancelGracefully
	j.wait()
	log, _ := j.log.get()
	if j.err != nil || j.outcome.Reason != job.JobCanceled || !strings.Contains(log, "after-canceled") {
		t.Errorf("Run = %+v, %v\n%s", j.outcome, j.err, log)
	}
	t.Logf("cancel to end: %v", time.Since(at))
}

func TestE2EImagesThatCannotWork(t *testing.T) {
	tests := []struct {
		name, image, policy string
		want                job.Reason
		says                string
	}{
		{"missing", image("test/nosuch:1"), "", job.RunnerConfigurationError, "cannot be pulled from"},
		{"denied", os.Getenv("RUNNERD_REGISTRY_AUTH") + "/test/debian:1", "always", job.RunnerConfigurationError, "without credentials"},
		{"never", image("test/unseen:1"), "never", job.ImagePullFailure, "pull policy is never"},
		{"no shell", image("test/distroless:1"), "", job.RunnerConfigurationError, "has no shell"},
		{"bad name", "UPPER/case:1", "", job.RunnerConfigurationError, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cfg := kubernetes.Config{}
			if tt.policy != "" {
				cfg.AllowedPullPolicies = []string{tt.policy}
			}
			r := newReal(t, cfg)
			plan := livePlan(tt.image, "true")
			if tt.policy != "" {
				plan.Image.PullPolicies = []string{tt.policy}
			}
			j := r.start(t, plan)
			j.wait()
			took := time.Since(j.began)
			var failure *job.Failure
			if !errors.As(j.err, &failure) || failure.Reason != tt.want || !strings.Contains(failure.Message, tt.says) || took > 15*time.Second {
				t.Errorf("Run = %+v, %v after %v", j.outcome, j.err, took)
			}
			t.Logf("%v: %v", took, j.err)
		})
	}
}

func TestE2EPrivateImage(t *testing.T) {
	r := newReal(t, kubernetes.Config{AllowedPullPolicies: []string{"always"}})
	plan := livePlan(os.Getenv("RUNNERD_REGISTRY_AUTH")+"/test/debian:1", "echo fine")
	plan.Image.PullPolicies = []string{"always"}
	plan.Credentials = []job.Credential{{URL: os.Getenv("RUNNERD_REGISTRY_AUTH"), Username: "ci", Password: "registry-secret"}}
	j := r.start(t, plan)
	j.wait()
	if j.err != nil || j.outcome.State != job.Success {
		t.Errorf("Run = %+v, %v", j.outcome, j.err)
	}
}

func TestE2EImagesThatWork(t *testing.T) {
	for _, name := range []string{"test/busybox:1", "test/nonroot:1", "test/sh:1"} {
		t.Run(path.Base(name), func(t *testing.T) {
			r := newReal(t, kubernetes.Config{})
			j := r.start(t, livePlan(image(name), "echo fine"))
			j.wait()
			if log, _ := j.log.get(); j.err != nil || j.outcome.State != job.Success {
				t.Errorf("Run = %+v, %v\n%s", j.outcome, j.err, log)
			}
			t.Logf("%v", time.Since(j.began))
		})
	}
}

func TestE2EService(t *testing.T) {
	r := newReal(t, kubernetes.Config{})
	plan := livePlan(image("test/debian:1"), "getent hosts web", "getent hosts "+strings.ReplaceAll(path.Base(image("test/busybox")), ":", ""),
		"for i in 1 2 3 4 5 6 7 8 9 10; do exec 3<>/dev/tcp/web/8080 && break; sleep 0.3; done", "printf 'GET / HTTP/1.0\\r\\n\\r\\n' >&3", "cat <&3")
	plan.Services = []job.Service{{
		Image:   job.Image{Name: image("test/busybox:1"), Entrypoint: []string{"sh", "-c"}},
		Aliases: []string{"web"}, Command: []string{`echo "$(echo hi) $SECRET" > /tmp/index.html; exec httpd -f -p 8080 -h /tmp`},
		Variables: []job.Variable{{Key: "SECRET", Value: "only-in-the-secret $$"}},
	}}
	plan.Build.Steps[0].Script[1] = "true"
	j := r.start(t, plan)
	j.wait()
	if log, _ := j.log.get(); j.err != nil || j.outcome.State != job.Success || !strings.Contains(log, "hi only-in-the-secret $$") {
		t.Errorf("Run = %+v, %v\n%s", j.outcome, j.err, log)
	}
}

func TestE2EPodDeletedFromOutside(t *testing.T) {
	r := newReal(t, kubernetes.Config{})
	j := r.start(t, livePlan(image("test/debian:1"), "echo begun", "sleep 300"))
	j.await("\nbegun")
	pods, err := r.client.API.CoreV1().Pods("default").List(context.Background(),
		metav1.ListOptions{LabelSelector: fmt.Sprintf("runnerd.io/job=%d", j.task.Plan.JobID)})
	if err != nil || len(pods.Items) != 1 {
		t.Fatalf("%d pods, %v", len(pods.Items), err)
	}
	if err := r.client.API.CoreV1().Pods("default").Delete(context.Background(), pods.Items[0].Name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	at := time.Now()
	j.wait()
	var failure *job.Failure
	if errors.As(j.err, &failure) {
		j.outcome.Reason = failure.Reason
	}
	if j.outcome.Reason != job.RunnerSystemFailure {
		t.Errorf("Run = %+v, %v", j.outcome, j.err)
	}
	t.Logf("%v: %+v, %v", time.Since(at), j.outcome, j.err)
}

// A restart of the API server or the kubelet is a delay, and the log is whole.
func TestE2ERestarts(t *testing.T) {
	cluster := os.Getenv("RUNNERD_CLUSTER_PROGRAM")
	if cluster == "" {
		t.Skip("RUNNERD_CLUSTER_PROGRAM is not set: the program of test/cluster, to restart components with")
	}
	const lines = 4000
	for _, component := range []string{"apiserver", "kubelet", "apiserver --kill"} {
		t.Run(component, func(t *testing.T) {
			r := newReal(t, kubernetes.Config{})
			j := r.start(t, livePlan(image("test/debian:1"), fmt.Sprintf("i=0; while [ $i -lt %d ]; do echo line-$i-; i=$((i+1)); sleep 0.005; done", lines)))
			j.await("line-100-")
			args := append([]string{"restart"}, strings.Fields(component)...)
			if out, err := exec.Command(cluster, args...).CombinedOutput(); err != nil {
				t.Fatalf("restart: %v\n%s", err, out)
			}
			j.wait()
			log, _ := j.log.get()
			if j.err != nil || j.outcome.State != job.Success {
				t.Fatalf("Run = %+v, %v\n%s", j.outcome, j.err, log)
			}
			at := 0
			for line := range strings.Lines(log) {
				if _, text, ok := strings.Cut(line, "line-"); ok && !strings.Contains(text, "$i") {
					if text != fmt.Sprintf("%d-\n", at) {
						t.Fatalf("line %d is %q", at, line)
					}
					at++
				}
			}
			if at != lines {
				t.Errorf("%d lines, want %d", at, lines)
			}
			t.Logf("%v", time.Since(j.began))
		})
	}
}

func TestE2EBigLog(t *testing.T) {
	r := newReal(t, kubernetes.Config{})
	j := r.start(t, livePlan(image("test/debian:1"), "seq -f 'line-%0100.0f-' 1 400000"))
	j.wait()
	log, _ := j.log.get()
	if j.err != nil || j.outcome.State != job.Success || strings.Count(log, "line-0") != 400000 {
		t.Errorf("Run = %+v, %v, %d lines", j.outcome, j.err, strings.Count(log, "line-0"))
	}
	t.Logf("%d MB in %v", len(log)>>20, time.Since(j.began))
}

// A node serves only the newest file of a container's log, and rotates files of
// ten megabytes away. While GitLab takes nothing nobody reads; what is lost
// meanwhile the helper has to write again.
func TestE2ELogRotatedAwayWhileGitLabIsBehind(t *testing.T) {
	r := newReal(t, kubernetes.Config{})
	plan := livePlan(image("test/debian:1"),
		"for b in 0 1 2 3; do seq -f 'line-%0100.0f-' $((b*150000+1)) $((b*150000+150000)); sleep 11; done",
		"for i in $(seq 60); do echo tick; sleep 1; done")
	j := &liveJob{t: t, log: &liveLog{grew: make(chan struct{})}, notes: &notes{}, done: make(chan struct{}), began: time.Now()}
	slow := &slowLog{log: j.log, until: time.After(45 * time.Second)}
	j.task = executor.Task{Plan: plan, Log: slow, Notes: j.notes}
	go func() {
		defer close(j.done)
		j.outcome, j.err = r.Run(context.Background(), j.task)
	}()
	j.wait()
	if err := r.Remove(context.Background(), j.task); err != nil {
		t.Error(err)
	}
	log, _ := j.log.get()
	if j.err != nil || j.outcome.State != job.Success {
		t.Fatalf("Run = %+v, %v", j.outcome, j.err)
	}
	at := 0
	for line := range strings.Lines(log) {
		if text, ok := strings.CutPrefix(line, "line-"); ok {
			at++
			if want := fmt.Sprintf("%0100d-\n", at); text != want {
				t.Fatalf("line %d is %q", at, line)
			}
		}
	}
	if at != 600000 {
		t.Errorf("%d lines, want 600000", at)
	}
	t.Logf("%d MB in %v", len(log)>>20, time.Since(j.began))
}

// slowLog takes a megabyte and then nothing for a while.
type slowLog struct {
	log   *liveLog
	taken int
	until <-chan time.Time
}

func (s *slowLog) Write(p []byte) (int, error) {
	if s.taken += len(p); s.taken > 1<<20 && s.until != nil {
		<-s.until
		s.until = nil
	}
	return s.log.Write(p)
}

func TestE2EDetachAndRemove(t *testing.T) {
	r := newReal(t, kubernetes.Config{})
	j := r.start(t, livePlan(image("test/debian:1"), "echo begun", "sleep 300"))
	j.await("\nbegun")
	at := time.Now()
	j.cancel(executor.ErrAborted)
	j.wait()
	if took := time.Since(at); !errors.Is(j.err, executor.ErrAborted) || took > 200*time.Millisecond {
		t.Errorf("Run = %v after %v, want ErrAborted at once", j.err, took)
	}
	at = time.Now()
	for range 2 {
		if err := r.Remove(context.Background(), j.task); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("Remove of a running job: %v", time.Since(at))
	secrets, err := r.client.API.CoreV1().Secrets("default").List(context.Background(),
		metav1.ListOptions{LabelSelector: fmt.Sprintf("runnerd.io/job=%d", j.task.Plan.JobID)})
	if err != nil && !apierrors.IsForbidden(err) || secrets != nil && len(secrets.Items) > 0 {
		t.Errorf("Secrets left: %v, %v", secrets, err)
	}
}
