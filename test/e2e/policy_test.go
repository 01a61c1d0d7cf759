//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/runnerd/runnerd/internal/standin"
)

const readToken = "glpat-read-only-0123456789"

// A podWatch sees every pod of a namespace, however short it lives.
type podWatch struct {
	t    testing.TB
	seen <-chan *corev1.Pod
}

func (s *site) watchPods(namespace string) podWatch {
	s.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	w, err := ground.api.CoreV1().Pods(namespace).Watch(ctx, metav1.ListOptions{})
	if err != nil {
		s.t.Fatal(err)
	}
	seen := make(chan *corev1.Pod, 1000)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for event := range w.ResultChan() {
			if pod, ok := event.Object.(*corev1.Pod); ok {
				seen <- pod
			}
		}
		close(seen)
	}()
	s.t.Cleanup(func() { w.Stop(); cancel(); <-done })
	return podWatch{s.t, seen}
}

// of returns the pod of j. Nothing but pods of earlier jobs may come before it.
func (w podWatch) of(j *standin.Job, earlier ...*standin.Job) *corev1.Pod {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for {
		select {
		case pod := <-w.seen:
			is := func(j *standin.Job) bool {
				return pod.Annotations["job.runner.gitlab.com/id"] == strconv.FormatInt(j.ID(), 10)
			}
			if is(j) {
				return pod
			}
			if slices.ContainsFunc(earlier, is) {
				continue
			}
			w.t.Errorf("a pod was made for job %q", pod.Annotations["job.runner.gitlab.com/name"])
		case <-ctx.Done():
			w.t.Fatalf("no pod of job %s", j.Name())
		}
	}
}

// TestPolicyGitLab: whether a ref is protected is asked of GitLab itself. A
// payload's word is not enough, and a GitLab that does not answer denies.
func TestPolicyGitLab(t *testing.T) {
	t.Parallel()
	s := start(t, options{
		gitlab: standin.Options{AccessTokens: []string{readToken}},
		policy: "protected_refs_only = true\ncontact = \"#platform\"\n[runners.policy.gitlab]\ntoken = \"" + readToken + "\"\ntimeout = \"3s\"",
	})
	pods := s.watchPods(s.namespace)
	s.hello.ProtectBranch("ma*")
	if _, err := s.hello.Commit("feature", map[string]string{"a": "b"}); err != nil {
		t.Fatal(err)
	}
	claimed := s.add(standin.JobSpec{Name: "claimed", Ref: "feature", Protected: true, Script: []string{"true"}})
	open := s.add(standin.JobSpec{Name: "open", Script: []string{"true"}, Variables: []standin.Variable{{Key: "CI_COMMIT_REF_PROTECTED", Value: "true"}}})
	for _, j := range []*standin.Job{claimed, open} {
		s.finish(j, standin.Failed)
		says(t, j, "rule:    protected_refs_only", "allowed: protected branches and tags", "contact: #platform")
	}

	other, err := s.gitlab.AddRepository("group/other", map[string]string{"README.md": "x\n"})
	if err != nil {
		t.Fatal(err)
	}
	fault := s.gitlab.Inject(standin.Fault{Endpoint: standin.ReadFacts, Status: 503, Times: -1})
	away := s.add(standin.JobSpec{Name: "away", Repository: other, Protected: true, Script: []string{"true"}})
	s.finish(away, standin.Failed)
	says(t, away, "it is not certain whether ref \"main\" is protected", "GitLab was asked and did not answer", "503")
	t.Logf("what the job's log says while GitLab's API is away:\n%s", away.Text())
	fault.Remove()
	s.gitlab.Inject(standin.Fault{Endpoint: standin.ReadFacts, Delay: time.Minute, Times: -1})
	hangs := s.add(standin.JobSpec{Name: "hangs", Repository: other, Protected: true, Script: []string{"true"}})
	s.finish(hangs, standin.Failed)
	says(t, hangs, "it is not certain")

	// The answer about this project is still fresh.
	fine := s.add(standin.JobSpec{Name: "fine", Protected: true, Script: []string{"true"}})
	if pod := pods.of(fine); pod.Namespace != s.namespace {
		t.Errorf("pod in %s", pod.Namespace)
	}
	s.finish(fine, standin.Success)
	if strings.Contains(s.daemonLog(), readToken) || strings.Contains(away.Text(), readToken) {
		t.Error("the read token is in a log")
	}
}

// TestPolicyAudit: the same policy as a report only, each decision counted,
// logged, and written down as an Event.
func TestPolicyAudit(t *testing.T) {
	t.Parallel()
	s := start(t, options{
		policy: "mode = \"audit\"\nevents = true\ndefault = \"deny\"\n" +
			"[[runners.policy.rules]]\nname = \"main\"\naction = \"allow\"\nrefs = [\"main\"]\nprotected = true",
	})
	open := s.add(standin.JobSpec{Name: "open", Script: []string{"echo ran"}})
	s.finish(open, standin.Success)
	says(t, open, "would deny the job, but only reports it", "rule:    default", `"main": refs = "main" and protected = true`, "\nran\n")
	fine := s.add(standin.JobSpec{Name: "fine", Script: []string{"echo ran"}, Protected: true})
	s.finish(fine, standin.Success)
	if strings.Contains(fine.Text(), "policy") {
		t.Errorf("the log of an allowed job speaks of policy:\n%s", fine.Text())
	}
	s.checkEvents(map[string]string{"JobWouldBeDenied": "no rule allows it", "JobAllowed": "rule main"})
	s.checkCounted(`runnerd_policy_decisions_total{outcome="would_be_denied",rule="default"`, `outcome="allowed",rule="main"`)
	if line := s.auditLine(open); line["outcome"] != "would_be_denied" || line["protected"] != "false" || line["project_path"] != "group/hello" || line["user"] != "dev" {
		t.Errorf("audit line of the open job: %v", line)
	}
}

// checkEvents waits for one Event of each reason, with its text.
func (s *site) checkEvents(want map[string]string) {
	s.t.Helper()
	for reason, text := range want {
		wait(s.t, "an Event "+reason, func() bool {
			list, err := ground.api.CoreV1().Events(s.namespace).List(context.Background(), metav1.ListOptions{FieldSelector: "reason=" + reason})
			return err == nil && len(list.Items) > 0 && strings.Contains(list.Items[0].Message, text) && list.Items[0].InvolvedObject.Kind == "Pod"
		})
	}
}

func (s *site) checkCounted(want ...string) {
	s.t.Helper()
	text, err := s.get("/metrics")
	if err != nil {
		s.t.Fatal(err)
	}
	for _, w := range want {
		if !strings.Contains(text, w) {
			s.t.Errorf("the metrics do not have %s", w)
		}
	}
}

// auditLine returns the one line about a job's decision.
func (s *site) auditLine(j *standin.Job) map[string]any {
	s.t.Helper()
	var found []map[string]any
	for line := range strings.SplitSeq(s.daemonLog(), "\n") {
		var fields map[string]any
		if json.Unmarshal([]byte(line), &fields) == nil && fields["msg"] == "policy decision" && fields["job"] == float64(j.ID()) {
			found = append(found, fields)
		}
	}
	if len(found) != 1 {
		s.t.Fatalf("%d audit lines about job %s, want 1", len(found), j.Name())
	}
	return found[0]
}

// TestPolicyEnforced: the policy of TestPolicyAudit, in force.
func TestPolicyEnforced(t *testing.T) {
	t.Parallel()
	s := start(t, options{
		policy: "events = true\ndefault = \"deny\"\ncontact = \"#platform\"\n" +
			"[[runners.policy.rules]]\nname = \"main\"\naction = \"allow\"\nrefs = [\"main\"]\nprotected = true",
	})
	pods := s.watchPods(s.namespace)
	open := s.add(standin.JobSpec{Name: "open", Script: []string{"echo ran"}})
	s.finish(open, standin.Failed)
	if open.FailureReason() != "runner_system_failure" {
		t.Errorf("failed with %s", open.FailureReason())
	}
	says(t, open, "rule:    default", "protected = false", `"main": refs = "main" and protected = true`, "contact: #platform")
	fine := s.add(standin.JobSpec{Name: "fine", Script: []string{"echo ran"}, Protected: true})
	pods.of(fine) // the first pod that there is
	s.finish(fine, standin.Success)
	s.checkEvents(map[string]string{"JobDenied": "no rule allows it", "JobAllowed": "rule main"})
	s.checkCounted(`outcome="denied",rule="default"`, `outcome="allowed",rule="main"`)
	t.Logf("the denied job's log:\n%s", open.Text())
}

// TestPolicyShape: a rule puts a job's pod where it says; a job that does not
// fit the rule gets the runner's ordinary pod.
func TestPolicyShape(t *testing.T) {
	const deploy = "deploy"
	s := start(t, options{
		namespaces: []string{deploy},
		kubernetes: "cpu_request = \"10m\"\nmemory_request = \"8Mi\"\n[runners.kubernetes.resource_classes.large]\ncpu_request = \"50m\"\nmemory_limit = \"256Mi\"",
		policy: `network_policy = true
[[runners.policy.network.gitlab]]
cidr = "10.0.0.0/8"
[[runners.policy.network.tiers]]
name = "trusted"
[[runners.policy.rules]]
name = "deploys"
action = "shape"
refs = ["main"]
protected = true
jobs = ["deploy*"]
namespace = "NAMESPACE-deploy"
service_account = "deployer"
node_selector = { "runnerd.io/e2e-pool" = "trusted" }
node_tolerations = { "trusted" = "NoSchedule" }
resource_class = "large"
network_tier = "trusted"
cache_tier = "trusted"`,
	})
	ctx := context.Background()
	namespace := s.namespace + "-" + deploy
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "deployer"}}
	if _, err := ground.api.CoreV1().ServiceAccounts(namespace).Create(ctx, account, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	labelNode(t, "runnerd.io/e2e-pool", "trusted")
	shaped, plain := s.watchPods(namespace), s.watchPods(s.namespace)

	j := s.add(standin.JobSpec{Name: "deploy 1/2", Protected: true, Script: []string{"echo shaped"}})
	pod := shaped.of(j)
	s.finish(j, standin.Success)
	says(t, j, "\nshaped\n", "Using Kubernetes namespace: "+namespace)
	var build corev1.Container
	for _, c := range pod.Spec.Containers {
		if c.Name == "build" {
			build = c
		}
	}
	got := fmt.Sprint(pod.Spec.ServiceAccountName, " ", pod.Spec.NodeSelector, " ", pod.Labels["runnerd.io/network-tier"], " ",
		build.Resources.Requests.Cpu(), " ", build.Resources.Requests.Memory(), " ", build.Resources.Limits.Memory())
	if want := "deployer map[runnerd.io/e2e-pool:trusted] trusted 50m 8Mi 256Mi"; got != want {
		t.Errorf("the shaped pod has %s, want %s", got, want)
	}
	tolerated := false
	for _, toleration := range pod.Spec.Tolerations {
		tolerated = tolerated || toleration.Key == "trusted" && toleration.Effect == corev1.TaintEffectNoSchedule
	}
	if !tolerated {
		t.Errorf("the shaped pod tolerates %v", pod.Spec.Tolerations)
	}

	open := s.add(standin.JobSpec{Name: "deploy", Script: []string{"echo plain"}})
	pod = plain.of(open)
	s.finish(open, standin.Success)
	if pod.Spec.ServiceAccountName == "deployer" || len(pod.Spec.NodeSelector) > 0 || pod.Labels["runnerd.io/network-tier"] != "default" {
		t.Errorf("the unshaped pod has service account %q, node selector %v, tier %q", pod.Spec.ServiceAccountName, pod.Spec.NodeSelector, pod.Labels["runnerd.io/network-tier"])
	}
	if line := s.auditLine(j); line["outcome"] != "shaped" || line["rule"] != "deploys" {
		t.Errorf("audit line: %v", line)
	}
}

// labelNode labels every node until the test ends.
func labelNode(t testing.TB, key, value string) {
	t.Helper()
	ctx := context.Background()
	nodes, err := ground.api.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	set := func(value string) {
		patch := fmt.Sprintf(`{"metadata":{"labels":{%q:%s}}}`, key, value)
		for _, n := range nodes.Items {
			if _, err := ground.api.CoreV1().Nodes().Patch(ctx, n.Name, types.MergePatchType, []byte(patch), metav1.PatchOptions{}); err != nil {
				t.Errorf("label node %s: %v", n.Name, err)
			}
		}
	}
	set(strconv.Quote(value))
	t.Cleanup(func() { set("null") })
}

// TestPolicyAliases: a service must not take the name of GitLab's host, to
// which the helper sends the job's credentials.
func TestPolicyAliases(t *testing.T) {
	t.Parallel()
	s := start(t, options{runner: "clone_url = \"http://git.internal.example\""})
	j := s.add(standin.JobSpec{
		Name: "alias", Script: []string{"true"},
		Services: []standin.Service{{Name: image("busybox"), Alias: "db git.internal.example", Command: []string{"sleep", "60"}}},
	})
	s.finish(j, standin.Failed)
	says(t, j, "git.internal.example", "alias")
}

// TestPolicyPins: a tag is resolved once, the pod runs the digest, and the log
// says which; an image that has to be signed and is not does not run.
func TestPolicyPins(t *testing.T) {
	t.Parallel()
	key := sign(t, image("debian"))
	s := start(t, options{
		policy: fmt.Sprintf("pin_images = true\ninsecure_registries = [%q, %q]\n[[runners.policy.signatures]]\nimages = [%q]\nkeys = [%q]",
			ground.registry, privateRegistry(), ground.registry+"/test/*", key),
	})
	pods := s.watchPods(s.namespace)
	unsigned := s.add(standin.JobSpec{Name: "unsigned", Image: standin.Image{Name: image("busybox")}, Script: []string{"true"}})
	s.finish(unsigned, standin.Failed)
	says(t, unsigned, "rule:    signatures", "has to be signed", "no signature")
	missing := s.add(standin.JobSpec{Name: "missing", Image: standin.Image{Name: ground.registry + "/other/nosuch:1"}, Script: []string{"true"}})
	s.finish(missing, standin.Failed)
	if missing.FailureReason() != "runner_configuration_error" {
		t.Errorf("a missing image is %s", missing.FailureReason())
	}
	says(t, missing, ground.registry+"/other/nosuch:1", "Not Found")

	digest := imageDigest(t, image("debian"))
	signed := s.add(standin.JobSpec{Name: "signed", Script: []string{"echo ran"}})
	pod := pods.of(signed)
	s.finish(signed, standin.Success)
	pinned := ground.registry + "/test/debian@" + digest
	says(t, signed, "Image "+image("debian")+" is "+pinned+", signed by "+key, "\nran\n")
	for _, c := range pod.Spec.Containers {
		if c.Name == "build" && c.Image != pinned {
			t.Errorf("the pod runs %q, want %q", c.Image, pinned)
		}
	}
	if line := s.auditLine(signed); line["image"] != pinned {
		t.Errorf("the audit line has image %v, want %s", line["image"], pinned)
	}

	private := s.add(standin.JobSpec{
		Name: "private", Script: []string{"echo pulled"}, Image: standin.Image{Name: privateRegistry() + "/test/busybox:1"},
		Credentials: []standin.Credential{{Type: "registry", URL: privateRegistry(), Username: "ci", Password: "registry-secret"}},
	})
	pods.of(private, signed)
	s.finish(private, standin.Success)
	says(t, private, "is "+privateRegistry()+"/test/busybox@sha256:")
}
