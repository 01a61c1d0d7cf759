package kubernetes_test

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	clienttest "k8s.io/client-go/testing"

	"github.com/runnerd/runnerd/pkg/executor"
	"github.com/runnerd/runnerd/pkg/executor/kubernetes"
	"github.com/runnerd/runnerd/pkg/job"
)

func TestMain(m *testing.M) {
	// A real client keeps idle connections; they are no goroutines of ours.
	goleak.VerifyTestMain(m,
		goleak.IgnoreAnyFunction("net/http.(*http2clientConnReadLoop).run"),
		goleak.IgnoreAnyFunction("golang.org/x/net/http2.(*clientConnReadLoop).run"))
}

const namespace = "ci"

// cluster is a fake API server together with a kubelet that the test plays.
type cluster struct {
	*fake.Clientset
	t         *testing.T
	namespace string // where the kubelet has its one pod

	services map[string]string // what services have printed, by container; "" is a log that does not come

	mu   sync.Mutex
	logs map[string]*podLog
}

func newCluster(t *testing.T) *cluster {
	c := &cluster{Clientset: fake.NewClientset(), t: t, namespace: namespace, logs: map[string]*podLog{}}
	// A kubelet ends the streams of a pod that goes, unless the node is lost.
	c.PrependReactor("delete", "pods", func(action clienttest.Action) (bool, runtime.Object, error) {
		if log := c.log(action.(clienttest.DeleteAction).GetName()); !log.lost {
			log.end()
		}
		return false, nil, nil
	})
	return c
}

// log returns the helper's log of a pod; it is refused until it is opened.
func (c *cluster) log(pod string) *podLog {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.logs[pod] == nil {
		c.logs[pod] = &podLog{changed: make(chan struct{})}
	}
	return c.logs[pod]
}

// OpenLog implements kubernetes.LogOpener.
func (c *cluster) OpenLog(ctx context.Context, _, pod string, options *corev1.PodLogOptions) (io.ReadCloser, error) {
	switch text, ok := c.services[options.Container]; {
	case ok && text == "":
		<-ctx.Done()
		return nil, ctx.Err()
	case ok:
		return io.NopCloser(strings.NewReader(text)), nil
	}
	return c.log(pod).stream(ctx, options)
}

// pods waits until nothing moves and returns the names of the pods there are.
func (c *cluster) pods() []string {
	c.t.Helper()
	synctest.Wait()
	list, err := c.CoreV1().Pods(c.namespace).List(context.Background(), metav1.ListOptions{})
	if err != nil {
		c.t.Fatal(err)
	}
	var names []string
	for _, p := range list.Items {
		names = append(names, p.Name)
	}
	return names
}

// pod returns the one pod that there has to be.
func (c *cluster) pod() *corev1.Pod {
	c.t.Helper()
	names := c.pods()
	if len(names) != 1 {
		c.t.Fatalf("pods = %q, want one", names)
	}
	pod, err := c.CoreV1().Pods(c.namespace).Get(context.Background(), names[0], metav1.GetOptions{})
	if err != nil {
		c.t.Fatal(err)
	}
	return pod
}

// update changes the one pod, as the kubelet and others do.
func (c *cluster) update(change func(*corev1.Pod)) {
	c.t.Helper()
	pod := c.pod()
	change(pod)
	if _, err := c.CoreV1().Pods(c.namespace).Update(context.Background(), pod, metav1.UpdateOptions{}); err != nil {
		c.t.Fatal(err)
	}
	synctest.Wait()
}

// start runs all containers of the one pod and opens its helper's log.
func (c *cluster) start() *podLog {
	c.t.Helper()
	c.update(func(p *corev1.Pod) {
		p.Spec.NodeName = "node-1"
		p.Status.Phase = corev1.PodRunning
		for _, container := range p.Spec.Containers {
			setStatus(p, container.Name, corev1.ContainerState{Running: &corev1.ContainerStateRunning{}})
		}
	})
	log := c.log(c.pod().Name)
	log.open()
	return log
}

// waiting puts one container of the one pod into a waiting state.
func (c *cluster) waiting(container, reason, message string) {
	c.t.Helper()
	c.update(func(p *corev1.Pod) {
		p.Spec.NodeName = "node-1"
		setStatus(p, container, corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: message}})
	})
}

func setStatus(p *corev1.Pod, container string, state corev1.ContainerState) {
	image := ""
	for _, c := range p.Spec.Containers {
		if c.Name == container {
			image = c.Image
		}
	}
	for i := range p.Status.ContainerStatuses {
		if s := &p.Status.ContainerStatuses[i]; s.Name == container {
			s.State = state
			return
		}
	}
	p.Status.ContainerStatuses = append(p.Status.ContainerStatuses, corev1.ContainerStatus{Name: container, Image: image, State: state})
}

// A run is a job that is going on.
type run struct {
	*cluster
	executor *kubernetes.Executor
	task     executor.Task
	log      *strings.Builder
	notes    *notes
	signals  chan job.Signal
	cancel   context.CancelCauseFunc
	done     chan struct{}

	outcome job.Outcome
	err     error
}

// start begins a job inside a synctest bubble; the test ends it.
func start(t *testing.T, c *cluster, cfg kubernetes.Config, plan *job.Plan, changes ...func(*executor.Task)) *run {
	t.Helper()
	if cfg.Namespace == "" {
		cfg.Namespace = namespace
	}
	if cfg.HelperImage == "" {
		cfg.HelperImage = "registry.example.com/runnerd/helper:1"
	}
	e, err := kubernetes.New(kubernetes.Client{API: c, Logs: c}, identity(), cfg, zaptest.NewLogger(t, zaptest.Level(zap.ErrorLevel)))
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		if err := e.Watch(ctx); err != nil {
			t.Errorf("Watch: %v", err)
		}
	}()
	synctest.Wait()

	r := &run{
		cluster: c, executor: e, log: &strings.Builder{}, notes: &notes{},
		signals: make(chan job.Signal, 1), done: make(chan struct{}),
	}
	r.task = executor.Task{
		Plan: plan, Log: r.log, Notes: r.notes, Signals: r.signals,
		Lost: func(bytes int64) { fmt.Fprintf(r.log, "(%d bytes lost)\n", bytes) },
	}
	for _, change := range changes {
		change(&r.task)
	}
	runCtx, cancel := context.WithCancelCause(ctx)
	r.cancel = cancel
	go func() {
		defer close(r.done)
		r.outcome, r.err = e.Run(runCtx, r.task)
	}()
	t.Cleanup(func() {
		cancel(context.Canceled)
		<-r.done
		stop()
		<-watched
	})
	synctest.Wait()
	return r
}

// wait waits for the end of the job and returns how long that took.
func (r *run) wait() time.Duration {
	began := time.Now()
	<-r.done
	return time.Since(began)
}

type notes struct {
	mu    sync.Mutex
	lines []string
}

func (n *notes) Info(line string) { n.add(line) }
func (n *notes) Warn(line string) { n.add("WARNING: " + line) }

func (n *notes) add(line string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.lines = append(n.lines, line)
}

func (n *notes) String() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return strings.Join(n.lines, "\n")
}

func identity() kubernetes.Identity {
	return kubernetes.Identity{SystemID: "r_0123456789ab", RunnerName: "cluster one", ShortToken: "Ab3_x-y9Z", GitLabURL: "https://gitlab.example.com"}
}
