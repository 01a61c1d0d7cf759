//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/runnerd/runnerd/internal/standin"
)

// TestInstall: runnerd as its manifests install it, by the commands that
// docs/install.md names, with the images that `make images` builds: two replicas in
// the cluster run jobs with caches, with the rights that the Role gives, and are
// refused nothing.
func TestInstall(t *testing.T) {
	s := install(t)
	before := refused(t)

	s.dryRun()
	s.rights()
	var jobs []*standin.Job
	for i := range 6 {
		jobs = append(jobs, s.add(standin.JobSpec{Name: fmt.Sprintf("job-%d", i), Script: []string{"wc -l < lib/data.txt", fmt.Sprintf("echo job %d", i)}}))
	}
	for i, j := range jobs {
		s.finish(j, standin.Success)
		if want := fmt.Sprintf("\n1000\n%sjob %d\n", "\x1b[32;1m$ echo job "+fmt.Sprint(i)+"\x1b[0;m\n", i); !strings.Contains(j.Text(), want) {
			t.Errorf("log of %s has no %q:\n%s", j.Name(), want, j.Text())
		}
	}
	fails := s.add(standin.JobSpec{Name: "fails", Script: []string{"exit 7"}})
	s.finish(fails, standin.Failed)
	if fails.ExitCode() != 7 {
		t.Errorf("exit code %d, want 7", fails.ExitCode())
	}
	s.finish(s.add(standin.JobSpec{
		Name:     "served",
		Services: []standin.Service{{Name: image("busybox"), Alias: "web", Command: []string{"httpd", "-f", "-p", "8080"}}},
		Script:   []string{"echo served"},
	}), standin.Success)
	s.caches()
	s.documented("docs/cache.md", "commands: cache in the cluster", nil)
	s.handover()

	s.empty()
	after := refused(t)
	for what, n := range after {
		if n > before[what] {
			t.Errorf("the API server has refused %v requests: %s", n-before[what], what)
		}
	}
}

// caches: what one job saves in the cluster's MinIO, the next one finds.
func (s *installed) caches() {
	s.Helper()
	cached := []standin.Cache{{Key: "deps", Paths: []string{"deps/"}, Policy: "pull-push", When: "on_success"}}
	for _, c := range []struct{ script, says string }{
		{"mkdir -p deps; echo kept > deps/file", "Saving cache"},
		{"cat deps/file", "\nkept\n"},
	} {
		j := s.add(standin.JobSpec{Name: "cached", Script: []string{c.script}, Cache: cached})
		s.finish(j, standin.Success)
		if !strings.Contains(j.Text(), c.says) || strings.Contains(j.Text(), "WARNING") {
			s.Errorf("log of the job has no %q, or a warning:\n%s", c.says, j.Text())
		}
	}
}

// handover: a job goes on, and its log is whole, when the replica that has it is
// killed, and when all replicas are replaced as by an upgrade.
func (s *installed) handover() {
	s.Helper()
	const seconds = 60
	j := s.add(counting("goes-on", seconds))
	s.prints(j, "\nline 50\n")
	s.kubectl("--namespace", "runnerd", "delete", "pod", s.owner(j), "--grace-period=0", "--force")
	s.prints(j, "\nline 300\n")
	s.kubectl("--namespace", "runnerd", "rollout", "restart", "deployment/runnerd")
	s.kubectl("--namespace", "runnerd", "rollout", "status", "deployment/runnerd", "--timeout=120s")
	s.finish(j, standin.Success)
	checkCount(s, j, seconds*10)
}

// owner returns the pod of the replica that has taken the job.
func (s *installed) owner(j *standin.Job) string {
	s.Helper()
	received := regexp.MustCompile(fmt.Sprintf(`"job received".*"job":%d\b`, j.ID()))
	for pod := range strings.FieldsSeq(s.kubectl("--namespace", "runnerd", "get", "pods", "-l", "app.kubernetes.io/component=daemon", "-o", "name")) {
		if received.MatchString(s.kubectl("--namespace", "runnerd", "logs", pod)) {
			return strings.TrimPrefix(pod, "pod/")
		}
	}
	s.Fatalf("no replica has taken job %d; their logs:\n%s", j.ID(), s.logs())
	return ""
}

// prints waits until the job's log at GitLab holds text.
func (s *installed) prints(j *standin.Job, text string) {
	s.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := j.Until(ctx, func(j *standin.Job) bool { return strings.Contains(j.Text(), text) || j.State().Final() }); err != nil || !strings.Contains(j.Text(), text) {
		s.Fatalf("log of job %s does not hold %q (%v):\n%s\nthe daemons':\n%s", j.Name(), text, err, j.Text(), s.logs())
	}
}

// dryRun: the API server takes each object that is shipped, in a namespace that
// warns of pods which are not restricted. Objects of the Prometheus Operator are of
// kinds that it does not know.
func (s *installed) dryRun() {
	s.Helper()
	const namespace = "install-dry-run"
	s.kubectl("create", "namespace", namespace)
	s.Cleanup(func() { s.kubectl("delete", "namespace", namespace) })
	s.kubectl("label", "namespace", namespace, "pod-security.kubernetes.io/warn=restricted")
	text := strings.ReplaceAll(s.kubectl("kustomize", s.repository("deploy/testdata/everything")), "namespace: runnerd\n", "namespace: "+namespace+"\n")
	var known []string
	for object := range strings.SplitSeq(text, "\n---\n") {
		if !strings.Contains(object, "monitoring.coreos.com/") {
			known = append(known, object)
		}
	}
	s.write("everything.yaml", []byte(strings.Join(known, "\n---\n")))
	out := s.kubectl("--warnings-as-errors", "apply", "--server-side", "--dry-run=server", "--force-conflicts", "-f", "everything.yaml")
	if got := strings.Count(out, "(server dry run)"); got != len(known) {
		s.Errorf("%d of %d objects were taken:\n%s", got, len(known), out)
	}
}

// rights: what the daemon's account may do is what docs/security.md shows.
func (s *installed) rights() {
	s.Helper()
	const document, label = "docs/security.md", "can-i"
	shown := s.commands(document, label)
	command, want, _ := strings.Cut(shown, "\n")
	got := s.kubectl(strings.Fields(strings.TrimPrefix(command, "$ kubectl "))...)
	if table(got) != table(want) {
		s.Errorf("%s shows\n%s\nthe API server says\n%s", document, want, got)
	}
}

// table returns the rows of a table, sorted, with single spaces.
func table(text string) string {
	var rows []string
	for line := range strings.Lines(text) {
		rows = append(rows, strings.Join(strings.Fields(line), " "))
	}
	slices.Sort(rows)
	return strings.Join(rows, "\n")
}

// add queues a job of the hello project.
func (s *installed) add(spec standin.JobSpec) *standin.Job {
	spec.Repository, spec.Image = s.hello, standin.Image{Name: image("debian")}
	return s.gitlab.AddJob(spec)
}

// empty waits until no job has left a pod or a Secret.
func (s *installed) empty() {
	s.Helper()
	ctx := context.Background()
	wait(s, "the jobs' pods and Secrets to be gone", func() bool {
		pods, err := ground.api.CoreV1().Pods("runnerd").List(ctx, metav1.ListOptions{LabelSelector: "runnerd.io/job"})
		if err != nil || len(pods.Items) > 0 {
			return false
		}
		secrets, err := ground.api.CoreV1().Secrets("runnerd").List(ctx, metav1.ListOptions{})
		return err == nil && len(secrets.Items) == 1
	})
}

// finish waits for the end of a job and checks its state.
func (s *installed) finish(j *standin.Job, want standin.State) {
	s.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if state, err := j.Wait(ctx); err != nil || state != want {
		s.Fatalf("job %s is %s (%s), want %s; %v; its log:\n%s\nthe daemons':\n%s", j.Name(), state, j.FailureReason(), want, err, j.Text(), s.logs())
	}
}

// refused reads from the API server how often it has answered 403, by what was
// asked for. There is no audit log; the numbers leave nothing out either.
func refused(t *testing.T) map[string]float64 {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	text, err := ground.api.CoreV1().RESTClient().Get().AbsPath("/metrics").DoRaw(ctx)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]float64{}
	for line := range strings.Lines(string(text)) {
		if !strings.HasPrefix(line, "apiserver_request_total{") || !strings.Contains(line, `code="403"`) {
			continue
		}
		what, number, _ := strings.Cut(strings.TrimSpace(line), "} ")
		var n float64
		if _, err := fmt.Sscan(number, &n); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		found[what] += n
	}
	return found
}
