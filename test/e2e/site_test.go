//go:build e2e

package e2e

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/runnerd/runnerd/internal/standin"
)

// patience bounds every wait that is not what a test measures.
const patience = 2 * time.Minute

// A site is one GitLab, one daemon and one namespace for its jobs.
type site struct {
	t          testing.TB
	gitlab     *standin.Server
	runner     *standin.Runner
	hello      *standin.Repository
	namespace  string
	namespaces []string // all of them
	config     string   // path
	listen     string   // the daemon's metrics and health
	binaries   binaries
	daemon     *exec.Cmd
	log        *os.File
	exited     chan error
}

// options of a site; the zero value is one runner with concurrent = 4.
type options struct {
	gitlab     standin.Options
	concurrent int
	global     string               // lines above [[runners]]
	runner     string               // lines for [[runners]]
	kubernetes string               // lines for [runners.kubernetes]
	policy     string               // lines for [runners.policy]
	cache      string               // tables [runners.cache] and below
	executor   string               // kubernetes
	namespaces []string             // further ones; NAMESPACE-x in the texts above is that of x
	more       func(s *site) string // further entries of the config file
	binaries   binaries             // default: those under test
}

// binaries are a daemon and the helper image that belongs to it.
type binaries struct{ runnerd, helper string }

// start brings a site up and, when the test ends, checks that the daemon ends
// well and leaves nothing behind.
func start(t testing.TB, o options) *site {
	t.Helper()
	if o.concurrent == 0 {
		o.concurrent = 4
	}
	o.gitlab.RequestConcurrency, o.gitlab.Concurrent = 1, cmp.Or(o.gitlab.Concurrent, o.concurrent)
	if o.binaries == (binaries{}) {
		o.binaries = binaries{ground.runnerd, ground.helper}
	}
	s := &site{t: t, namespace: "e2e-" + strings.ToLower(rand.Text()[:8]), binaries: o.binaries}
	s.makeNamespace(s.namespace)
	for _, name := range o.namespaces {
		s.makeNamespace(s.namespace + "-" + name)
	}
	s.gitlab = standin.New(o.gitlab)
	listener, err := net.Listen("tcp", ground.node+":0")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.gitlab.Start(listener); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, v := range s.gitlab.Violations() {
			t.Errorf("protocol violation: %s", v)
		}
		if err := s.gitlab.Close(); err != nil {
			t.Errorf("close the stand-in: %v", err)
		}
	})
	s.runner = s.gitlab.AddRunner(standin.RunnerSpec{Description: "e2e"})
	s.hello, err = s.gitlab.AddRepository("group/hello", map[string]string{
		"README.md": "hello\n", "lib/data.txt": strings.Repeat("data\n", 1000), "run.sh": "#!/bin/sh\necho ran\n",
	})
	if err != nil {
		t.Fatal(err)
	}
	s.writeConfig(o)
	s.startDaemon()
	t.Cleanup(s.stop)
	return s
}

func (s *site) makeNamespace(name string) {
	s.t.Helper()
	s.namespaces = append(s.namespaces, name)
	ctx := context.Background()
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
	if _, err := ground.api.CoreV1().Namespaces().Create(ctx, ns, metav1.CreateOptions{}); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() {
		if err := ground.api.CoreV1().Namespaces().Delete(ctx, name, metav1.DeleteOptions{}); err != nil {
			s.t.Errorf("delete namespace: %v", err)
		}
	})
	wait(s.t, "the namespace's service account", func() bool {
		_, err := ground.api.CoreV1().ServiceAccounts(name).Get(ctx, "default", metav1.GetOptions{})
		return err == nil
	})
}

func (s *site) writeConfig(o options) {
	s.t.Helper()
	dir := s.t.TempDir()
	s.config = filepath.Join(dir, "config.toml")
	text := fmt.Sprintf(`concurrent = %d
check_interval = 1
log_format = "json"
%s

[[runners]]
name = "e2e"
url = %q
token = %q
executor = %q
%s

[runners.kubernetes]
namespace = %q
helper_image = %q
%s

[runners.policy]
%s
%s
`, o.concurrent, s.profiles(o), s.gitlab.URL(), s.runner.Token(), cmp.Or(o.executor, "kubernetes"), s.caFile(dir)+buildsDir(dir, o)+o.runner, s.namespace, s.binaries.helper, o.kubernetes, o.policy, o.cache)
	if o.more != nil {
		text += o.more(s)
	}
	text = strings.ReplaceAll(text, "NAMESPACE", s.namespace)
	if err := os.WriteFile(s.config, []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
	log, err := os.Create(filepath.Join(dir, "runnerd.log"))
	if err != nil {
		s.t.Fatal(err)
	}
	s.log = log
}

// profiles lets the test count goroutines, and is what else stands above the entries.
// An older binary does not know the key.
func (s *site) profiles(o options) string {
	if o.binaries.runnerd != ground.runnerd {
		return o.global
	}
	return "pprof = true\n" + o.global
}

// caFile is the line of the config that names the authority of GitLab's
// certificate, where it has one.
func (s *site) caFile(dir string) string {
	s.t.Helper()
	ca := s.gitlab.CACertificate()
	if ca == nil {
		return ""
	}
	path := filepath.Join(dir, "gitlab-ca.pem")
	if err := os.WriteFile(path, ca, 0o600); err != nil {
		s.t.Fatal(err)
	}
	return fmt.Sprintf("tls-ca-file = %q\n", path)
}

// buildsDir keeps the jobs of a local executor apart from those of other sites.
func buildsDir(dir string, o options) string {
	if o.executor != "local" || strings.Contains(o.runner, "builds_dir") {
		return ""
	}
	return fmt.Sprintf("builds_dir = %q\n", filepath.Join(dir, "builds"))
}

var serving = regexp.MustCompile(`serving metrics and health","address":"([^"]+)"`)

func (s *site) startDaemon() {
	s.t.Helper()
	s.daemon = exec.Command(s.binaries.runnerd, "run", "--config", s.config, "--listen-address", "127.0.0.1:0")
	s.daemon.Stdout, s.daemon.Stderr = s.log, s.log
	s.daemon.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := s.daemon.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.exited = make(chan error, 1)
	go func() { s.exited <- s.daemon.Wait() }()
	wait(s.t, "the daemon to be ready", func() bool {
		// The last one: a test may have killed a daemon before this one.
		if m := serving.FindAllStringSubmatch(s.daemonLog(), -1); len(m) > 0 {
			s.listen = m[len(m)-1][1]
			_, err := s.get("/health/ready")
			return err == nil
		}
		return false
	})
}

func (s *site) daemonLog() string {
	text, err := os.ReadFile(s.log.Name())
	if err != nil {
		s.t.Fatal(err)
	}
	return string(text)
}

// get asks the daemon's own listener.
func (s *site) get(path string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.listen+path, nil)
	if err != nil {
		return "", err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode != http.StatusOK {
		err = errors.New(answer.Status)
	}
	return string(body), err
}

// stop drains the daemon and checks what is left.
func (s *site) stop() {
	s.drain()
	for _, namespace := range s.namespaces {
		s.checkEmpty(namespace)
	}
	s.log.Close()
	if s.t.Failed() {
		s.t.Logf("the daemon's log:\n%s", s.daemonLog())
	}
}

// drain ends the daemon when its jobs are over.
func (s *site) drain() {
	if err := s.daemon.Process.Signal(syscall.SIGQUIT); err != nil {
		s.t.Errorf("stop the daemon: %v", err)
	}
	select {
	case err := <-s.exited:
		if err != nil {
			s.t.Errorf("the daemon ended with %v, want exit code 0", err)
		}
	case <-time.After(patience):
		s.t.Error("the daemon does not end")
		_ = s.daemon.Process.Kill()
		<-s.exited
	}
}

// checkEmpty looks for what jobs have left behind.
func (s *site) checkEmpty(namespace string) {
	ctx := context.Background()
	pods, err := ground.api.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{})
	if err != nil || len(pods.Items) > 0 {
		s.t.Errorf("pods left over in %s: %s (%v)", namespace, names(pods.Items), err)
	}
	secrets, err := ground.api.CoreV1().Secrets(namespace).List(ctx, metav1.ListOptions{})
	if err != nil || len(secrets.Items) > 0 {
		s.t.Errorf("%d Secrets left over in %s (%v)", len(secrets.Items), namespace, err)
	}
	// A Lease stays, for the next daemon with that identity; but nobody holds it.
	leases, err := ground.api.CoordinationV1().Leases(namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		s.t.Error(err)
		return
	}
	for _, l := range leases.Items {
		if h := l.Spec.HolderIdentity; h != nil && *h != "" {
			s.t.Errorf("Lease %s is held by %q, which has ended", l.Name, *h)
		}
	}
}

func names(pods []corev1.Pod) []string {
	var list []string
	for _, p := range pods {
		list = append(list, p.Name)
	}
	return list
}

// stack is one entry of a goroutine profile: how many goroutines, and where.
var stack = regexp.MustCompile(`(?m)^(\d+) @ [^\n]*\n((?:#[^\n]*\n)+)`)

// goroutines counts those of the daemon, but for those of idle connections,
// which are kept for the next request.
func (s *site) goroutines() int {
	text, err := s.get("/debug/pprof/goroutine?debug=1")
	if err != nil {
		s.t.Fatal(err)
	}
	total := 0
	for _, m := range stack.FindAllStringSubmatch(text, -1) {
		if strings.Contains(m[2], "persistConn") || strings.Contains(m[2], "http2") {
			continue
		}
		n, err := strconv.Atoi(m[1])
		if err != nil {
			s.t.Fatal(err)
		}
		total += n
	}
	return total
}

// settled waits until no pod is left and returns the daemon's goroutines then.
func (s *site) settled() int {
	s.t.Helper()
	wait(s.t, "the pods of finished jobs to be gone", func() bool {
		pods, err := ground.api.CoreV1().Pods(s.namespace).List(context.Background(), metav1.ListOptions{})
		return err == nil && len(pods.Items) == 0
	})
	return s.goroutines()
}

// add queues a job of the hello project.
func (s *site) add(spec standin.JobSpec) *standin.Job {
	if spec.Repository == nil {
		spec.Repository = s.hello
	}
	if spec.Image.Name == "" {
		spec.Image.Name = image("debian")
	}
	return s.gitlab.AddJob(spec)
}

// finish waits for the end of a job and checks its state.
func (s *site) finish(j *standin.Job, want standin.State) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	state, err := j.Wait(ctx)
	if err != nil {
		s.t.Fatalf("job %s does not end (state %s): %v\nits log:\n%s\nthe daemon's:\n%s", j.Name(), j.State(), err, j.Text(), s.daemonLog())
	}
	if state != want {
		s.t.Errorf("job %s is %s (%s, exit code %d), want %s; its log:\n%s", j.Name(), state, j.FailureReason(), j.ExitCode(), want, j.Text())
	}
}

// until waits for a condition of a job.
func (s *site) until(j *standin.Job, what string, ok func(*standin.Job) bool) {
	s.t.Helper()
	s.within(patience, j, what, ok)
}

func (s *site) within(patience time.Duration, j *standin.Job, what string, ok func(*standin.Job) bool) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := j.Until(ctx, ok); err != nil {
		s.t.Fatalf("job %s: waiting for %s: %v; its log:\n%s\nthe daemon's:\n%s", j.Name(), what, err, j.Text(), s.daemonLog())
	}
}

// pod returns the one pod of job j.
func (s *site) pod(j *standin.Job) *corev1.Pod {
	s.t.Helper()
	pods, err := ground.api.CoreV1().Pods(s.namespace).List(context.Background(), metav1.ListOptions{})
	if err != nil {
		s.t.Fatal(err)
	}
	id := strconv.FormatInt(j.ID(), 10)
	for i := range pods.Items {
		if pods.Items[i].Annotations["job.runner.gitlab.com/id"] == id {
			return &pods.Items[i]
		}
	}
	return nil
}

// gone waits until a job's pod is away and returns when that was.
func (s *site) gone(pod *corev1.Pod) time.Time {
	s.t.Helper()
	wait(s.t, "the end of pod "+pod.Name, func() bool {
		_, err := ground.api.CoreV1().Pods(s.namespace).Get(context.Background(), pod.Name, metav1.GetOptions{})
		return apierrors.IsNotFound(err)
	})
	return time.Now()
}

// wait polls a condition that nothing can be subscribed to.
func wait(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-deadline.C:
			t.Fatalf("waited %v for %s", patience, what)
		case <-tick.C:
		}
	}
}

// when returns the time of the first event of a kind.
func when(t testing.TB, j *standin.Job, kind standin.EventKind) time.Time {
	t.Helper()
	for _, e := range j.Events() {
		if e.Kind == kind {
			return e.Time
		}
	}
	t.Fatalf("job %s has no event %v: %v", j.Name(), kind, j.Events())
	return time.Time{}
}

// clusterTool runs the cluster tool.
func clusterTool(t testing.TB, args ...string) {
	t.Helper()
	var out bytes.Buffer
	c := exec.Command(ground.cluster, args...)
	c.Stdout, c.Stderr = &out, &out
	if err := c.Run(); err != nil {
		t.Fatalf("cluster %s: %v\n%s", strings.Join(args, " "), err, out.String())
	}
}

// section returns what stands between the markers of a section, with its title.
func section(t testing.TB, text, name string) string {
	t.Helper()
	re := regexp.MustCompile(`(?s)section_start:\d+:` + name + `\r\x1b\[0K(.*?)section_end:\d+:` + name + `\r`)
	m := re.FindStringSubmatch(text)
	if m == nil {
		t.Fatalf("no section %s in the log:\n%s", name, text)
	}
	return m[1]
}

// scriptSection is the section that a script makes which prints output.
func scriptSection(output string, commands ...string) string {
	var b strings.Builder
	b.WriteString("\x1b[0K\x1b[36;1mExecuting \"step_script\" stage of the job script\x1b[0;m\n")
	for _, c := range commands {
		b.WriteString("\x1b[32;1m$ " + c + "\x1b[0;m\n")
	}
	return b.String() + output
}
