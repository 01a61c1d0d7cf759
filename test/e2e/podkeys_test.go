//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	nodev1 "k8s.io/api/node/v1"
	schedulingv1 "k8s.io/api/scheduling/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/runnerd/runnerd/internal/standin"
)

// podKeys are those of GitLab Runner that shape a pod, as far as this cluster can do
// what they ask for.
const podKeys = `pull_policy = ["if-not-present"]
service_account = "builder"
priority_class_name = "NAMESPACE-high"
runtime_class_name = "NAMESPACE-runc"
cpu_request = "60m"
cpu_limit = "1"
memory_request = "40Mi"
memory_limit = "200Mi"
helper_cpu_request = "20m"
helper_memory_limit = "300Mi"
service_memory_limit = "100Mi"
cap_drop = ["CHOWN"]
pod_termination_grace_period_seconds = 7
dns_policy = "default"

[runners.kubernetes.node_selector]
"runnerd.test/pool" = "NAMESPACE"
[runners.kubernetes.node_tolerations]
"runnerd.test/dedicated=ci" = "NoSchedule"
[[runners.kubernetes.affinity.node_affinity.required_during_scheduling_ignored_during_execution.node_selector_terms]]
match_expressions = [{ key = "runnerd.test/pool", operator = "In", values = ["NAMESPACE"] }]
[runners.kubernetes.pod_labels]
team = "retail"
project = "p-$CI_PROJECT_ID"
[runners.kubernetes.pod_annotations]
"example.com/note" = "of $CI_JOB_NAME"
[runners.kubernetes.pod_security_context]
fs_group = 2000
supplemental_groups = [3000]
[runners.kubernetes.build_container_security_context]
run_as_user = 1000
run_as_group = 1000
[[runners.kubernetes.host_aliases]]
ip = "10.9.8.7"
hostnames = ["mirror.example"]

[[runners.kubernetes.volumes.empty_dir]]
name = "scratch"
mount_path = "/scratch"
medium = "Memory"
size_limit = "32Mi"
[[runners.kubernetes.volumes.config_map]]
name = "greeting"
mount_path = "/etc/greeting"
[runners.kubernetes.volumes.config_map.items]
text = "deep/hello.txt"
[[runners.kubernetes.volumes.secret]]
name = "greeting"
mount_path = "/etc/greeting.secret"
sub_path = "password"
read_only = true
[[runners.kubernetes.volumes.pvc]]
name = "claim-$CI_PROJECT_ID"
mount_path = "/kept"
sub_path = "projects/$CI_PROJECT_ID"
[[runners.kubernetes.volumes.pvc]]
name = "claim-$CI_PROJECT_ID"
mount_path = "/gate"
[[runners.kubernetes.volumes.host_path]]
name = "of-the-node"
mount_path = "/node"
host_path = "HOSTDIR"
read_only = true
`

// keysScript shows from inside what the keys do.
var keysScript = []string{
	`echo "user $(id -u):$(id -g) groups $(id -G)"`,
	`echo "project $CI_PROJECT_DIR, variable $FROM_CONFIG"`,
	`echo "scratch: $(awk '$2 == "/scratch" {print $3}' /proc/mounts) $(df -m /scratch | awk 'END {print $2}') MiB"`,
	`echo "config map: $(cat /etc/greeting/deep/hello.txt)"`,
	`echo "secret: $(cat /etc/greeting.secret)"`,
	`echo by-the-job > /kept/file; echo "claim: $(find /gate -name file)"`,
	`echo "node: $(cat /node/file); $(touch /node/no 2>&1)"`,
	`echo "alias: $(grep mirror.example /etc/hosts | tr -s '\t' ' ')"`,
	`echo "memory limit: $(cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max 2>/dev/null | tail -n 1)"`,
	`echo "capabilities: $(grep CapBnd /proc/self/status | tr -d '[:blank:]')"`,
	`echo "token: $(ls /var/run/secrets/kubernetes.io/serviceaccount/token)"`,
	`echo "service says: $(wget -qO- http://web:8080/deep/hello.txt)"`,
	`touch /kept/ready; until [ -e /gate/go ]; do sleep 0.1; done`,
}

// TestPodKeys: a job with every key of [runners.kubernetes] that shapes a pod and
// that this cluster can honour sees from inside that they have an effect.
func TestPodKeys(t *testing.T) {
	ctx := context.Background()
	node, claim := t.TempDir(), t.TempDir()
	for _, dir := range []string{node, claim} {
		for d := dir; d != os.TempDir() && d != "/"; d = filepath.Dir(d) {
			if err := os.Chmod(d, 0o777); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := os.WriteFile(filepath.Join(node, "file"), []byte("of the node"), 0o644); err != nil {
		t.Fatal(err)
	}
	keys := strings.ReplaceAll(podKeys, "HOSTDIR", node)
	s := start(t, options{
		runner:     "builds_dir = \"/srv/jobs\"\nenvironment = [\"FROM_CONFIG=set\"]",
		kubernetes: keys,
	})
	project := fmt.Sprint(s.hello.ID())
	s.makePodObjects(ctx, project, claim)

	j := s.gitlab.AddJob(standin.JobSpec{
		Name: "keys", Repository: s.hello, Script: keysScript, Image: standin.Image{Name: image("busybox")},
		// A job's own word for its project leads to nobody else's claim and folder.
		Variables: []standin.Variable{{Key: "CI_PROJECT_ID", Value: "1", Public: true}},
		Services:  []standin.Service{{Name: image("busybox"), Alias: "web", Command: []string{"httpd", "-f", "-p", "8080", "-h", "/etc/greeting"}}},
	})
	kept := filepath.Join(claim, "projects", project)
	wait(t, "the script to reach its last line", func() bool {
		_, err := os.Stat(filepath.Join(kept, "ready"))
		return err == nil || j.State() == standin.Failed
	})
	if pod := s.pod(j); pod != nil {
		checkShape(t, pod, s.namespace)
	} else {
		t.Error("the job has no pod")
	}
	if err := os.WriteFile(filepath.Join(claim, "go"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	s.finish(j, standin.Success)
	says(t, j, "\nuser 1000:1000 groups 1000 2000 3000\n", "\nproject /srv/jobs/group/hello, variable set\n",
		"\nscratch: tmpfs 32 MiB\n", "\nconfig map: greetings\n", "\nsecret: hush\n", "\nclaim: /gate/projects/"+project+"/file\n",
		"\nnode: of the node; touch: /node/no: Read-only file system\n", "\nalias: 10.9.8.7 mirror.example\n",
		fmt.Sprintf("\nmemory limit: %d\n", 200<<20), "\ncapabilities: CapBnd:", "\ntoken: /var/run/secrets/kubernetes.io/serviceaccount/token\n",
		"\nservice says: greetings\n",
	)
	t.Logf("what the job has seen:\n%s", section(t, j.Text(), "step_script"))
	if text, err := os.ReadFile(filepath.Join(kept, "file")); err != nil || string(text) != "by-the-job\n" {
		t.Errorf("the claim holds %q (%v)", text, err)
	}
	if err := ground.api.CoreV1().Secrets(s.namespace).Delete(ctx, "greeting", metav1.DeleteOptions{}); err != nil {
		t.Error(err)
	}
}

// checkShape looks at what a job cannot see of its pod.
func checkShape(t *testing.T, pod *corev1.Pod, namespace string) {
	t.Helper()
	for what, is := range map[string][2]any{
		"priority class":  {pod.Spec.PriorityClassName, namespace + "-high"},
		"priority":        {*pod.Spec.Priority, int32(1000)},
		"runtime class":   {*pod.Spec.RuntimeClassName, namespace + "-runc"},
		"service account": {pod.Spec.ServiceAccountName, "builder"},
		"label":           {pod.Labels["team"], "retail"},
		"annotation":      {pod.Annotations["example.com/note"], "of keys"},
		"grace period":    {*pod.Spec.TerminationGracePeriodSeconds, int64(7)},
		"DNS policy":      {pod.Spec.DNSPolicy, corev1.DNSDefault},
	} {
		if is[0] != is[1] {
			t.Errorf("%s is %v, want %v", what, is[0], is[1])
		}
	}
	amounts := map[string]string{}
	for _, c := range pod.Spec.Containers {
		amounts[c.Name] = fmt.Sprint(c.Resources.Requests.Cpu(), " ", c.Resources.Requests.Memory(), " ", c.Resources.Limits.Memory())
	}
	for name, want := range map[string]string{"helper": "20m 300Mi 300Mi", "web": "10m 100Mi 100Mi", "build": "60m 40Mi 200Mi"} {
		if amounts[name] != want {
			t.Errorf("%s requests and gets %q, want %q", name, amounts[name], want)
		}
	}
}

// makePodObjects makes what the pod keys name.
func (s *site) makePodObjects(ctx context.Context, project, claimDir string) {
	s.t.Helper()
	core, object := ground.api.CoreV1(), metav1.ObjectMeta{Name: "greeting"}
	check := func(err error) {
		s.t.Helper()
		if err != nil {
			s.t.Fatal(err)
		}
	}
	_, err := core.ConfigMaps(s.namespace).Create(ctx, &corev1.ConfigMap{ObjectMeta: object, Data: map[string]string{"text": "greetings"}}, metav1.CreateOptions{})
	check(err)
	_, err = core.Secrets(s.namespace).Create(ctx, &corev1.Secret{ObjectMeta: object, StringData: map[string]string{"password": "hush"}}, metav1.CreateOptions{})
	check(err)
	_, err = core.ServiceAccounts(s.namespace).Create(ctx, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "builder"}}, metav1.CreateOptions{})
	check(err)

	high := &schedulingv1.PriorityClass{ObjectMeta: metav1.ObjectMeta{Name: s.namespace + "-high"}, Value: 1000}
	_, err = ground.api.SchedulingV1().PriorityClasses().Create(ctx, high, metav1.CreateOptions{})
	check(err)
	s.t.Cleanup(func() {
		_ = ground.api.SchedulingV1().PriorityClasses().Delete(ctx, high.Name, metav1.DeleteOptions{})
	})
	runc := &nodev1.RuntimeClass{ObjectMeta: metav1.ObjectMeta{Name: s.namespace + "-runc"}, Handler: "runc"}
	_, err = ground.api.NodeV1().RuntimeClasses().Create(ctx, runc, metav1.CreateOptions{})
	check(err)
	s.t.Cleanup(func() {
		_ = ground.api.NodeV1().RuntimeClasses().Delete(ctx, runc.Name, metav1.DeleteOptions{})
	})

	s.makeClaim(ctx, "claim-"+project, claimDir)
	if err := os.MkdirAll(filepath.Join(claimDir, "projects", project), 0o777); err != nil {
		s.t.Fatal(err)
	}
	check(os.Chmod(filepath.Join(claimDir, "projects", project), 0o777))
	s.taintNode(ctx)
}

// makeClaim makes a claim whose volume is a folder of the node.
func (s *site) makeClaim(ctx context.Context, name, dir string) {
	s.t.Helper()
	core := ground.api.CoreV1()
	size := corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")}
	volume := &corev1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Name: s.namespace + "-" + name}, Spec: corev1.PersistentVolumeSpec{
		Capacity: size, AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteMany}, StorageClassName: "by-hand",
		PersistentVolumeReclaimPolicy: corev1.PersistentVolumeReclaimRetain,
		PersistentVolumeSource:        corev1.PersistentVolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: dir}},
	}}
	if _, err := core.PersistentVolumes().Create(ctx, volume, metav1.CreateOptions{}); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = core.PersistentVolumes().Delete(ctx, volume.Name, metav1.DeleteOptions{}) })
	claim := &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: corev1.PersistentVolumeClaimSpec{
		AccessModes: volume.Spec.AccessModes, VolumeName: volume.Name, StorageClassName: &volume.Spec.StorageClassName,
		Resources: corev1.VolumeResourceRequirements{Requests: size},
	}}
	if _, err := core.PersistentVolumeClaims(s.namespace).Create(ctx, claim, metav1.CreateOptions{}); err != nil {
		s.t.Fatal(err)
	}
	wait(s.t, "the claim to be bound", func() bool {
		c, err := core.PersistentVolumeClaims(s.namespace).Get(ctx, name, metav1.GetOptions{})
		return err == nil && c.Status.Phase == corev1.ClaimBound
	})
}

// taintNode keeps all pods from the node but those that tolerate it, and labels it,
// until the test ends.
func (s *site) taintNode(ctx context.Context) {
	s.t.Helper()
	nodes, err := ground.api.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil || len(nodes.Items) != 1 {
		s.t.Fatalf("%d nodes (%v), want one", len(nodes.Items), err)
	}
	patch := func(taints, label string) {
		text := fmt.Sprintf(`{"spec":{"taints":%s},"metadata":{"labels":{"runnerd.test/pool":%s}}}`, taints, label)
		if _, err := ground.api.CoreV1().Nodes().Patch(ctx, nodes.Items[0].Name, types.MergePatchType, []byte(text), metav1.PatchOptions{}); err != nil {
			s.t.Errorf("taint the node: %v", err)
		}
	}
	patch(`[{"key":"runnerd.test/dedicated","value":"ci","effect":"NoSchedule"}]`, fmt.Sprintf("%q", s.namespace))
	s.t.Cleanup(func() { patch("null", "null") })
}

// TestBuildsDirOnClaim: where a claim takes the place of builds_dir, a job goes on
// with the repository that an earlier one has left there.
func TestBuildsDirOnClaim(t *testing.T) {
	dir := t.TempDir()
	s := start(t, options{concurrent: 1, kubernetes: "[[runners.kubernetes.volumes.pvc]]\nname = \"work\"\nmount_path = \"/builds\""})
	s.makeClaim(context.Background(), "work", dir)
	clean := []standin.Variable{{Key: "GIT_CLEAN_FLAGS", Value: "none", Public: true}}
	s.finish(s.add(standin.JobSpec{Name: "first", Script: []string{"echo kept > untracked", "echo $CI_PROJECT_DIR"}, Variables: clean}), standin.Success)
	second := s.add(standin.JobSpec{Name: "second", Script: []string{"cat untracked"}, Variables: clean})
	s.finish(second, standin.Success)
	says(t, second, "Reinitialized existing Git repository in /builds/", "\nkept\n")
	if found, err := filepath.Glob(filepath.Join(dir, "*", "0", "group", "hello", "untracked")); err != nil || len(found) != 1 {
		t.Errorf("the claim holds %q (%v), want one project, below runner and slot", found, err)
	}
}

// TestPodDefaults: what a job's container is not given unless the config says so.
func TestPodDefaults(t *testing.T) {
	s := start(t, options{})
	j := s.add(standin.JobSpec{Name: "defaults", Script: []string{
		`ls /var/run/secrets/kubernetes.io 2>&1 || echo "no token"`,
		`grep -E '^(NoNewPrivs|Seccomp):' /proc/self/status | tr '\t' ' '`,
		`sleep 1`,
	}})
	var class corev1.PodQOSClass
	wait(t, "the job's pod", func() bool {
		pod := s.pod(j)
		if pod != nil {
			class = pod.Status.QOSClass
		}
		return class != ""
	})
	s.finish(j, standin.Success)
	says(t, j, "\nno token\n", "\nNoNewPrivs: 1\n", "\nSeccomp: 2\n")
	if class != corev1.PodQOSBurstable {
		t.Errorf("the pod's class is %s: it asks for nothing", class)
	}
	if lines := strings.Split(j.Text(), "\n"); !slices.ContainsFunc(lines, func(l string) bool { return strings.Contains(l, "Job succeeded") }) {
		t.Error("the log has no end")
	}
}
