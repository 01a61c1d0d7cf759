package kubernetes

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/client-go/kubernetes/fake"

	"github.com/runnerd/runnerd/pkg/job"
)

func TestPodNames(t *testing.T) {
	id := Identity{ShortToken: "Ab3_x-y9Z", GitLabURL: "https://gitlab.example.com"}
	plan := &job.Plan{JobID: 4711, ProjectID: 42, ConcurrentProjectID: 3}
	name := podName(id, plan, 0)
	if prefix := "runner-ab3-x-y9z-project-42-concurrent-3-"; !strings.HasPrefix(name, prefix) || len(name) != len(prefix)+8 {
		t.Errorf("podName = %q, want %s and 8 characters", name, prefix)
	}
	other := id
	other.GitLabURL = "https://gitlab.test"
	for what, same := range map[string]bool{
		podName(id, plan, 0):    true,
		podName(id, plan, 1):    false,
		podName(other, plan, 0): false,
	} {
		if (what == name) != same {
			t.Errorf("%q equals %q: %v, want %v", what, name, !same, same)
		}
	}
	long := podName(Identity{ShortToken: strings.Repeat("token.", 20)}, &job.Plan{JobID: 1 << 60, ProjectID: 1 << 60}, 9)
	if problems := validation.IsDNS1123Label(long); len(problems) > 0 {
		t.Errorf("podName = %q: %v", long, problems)
	}
}

func TestLabelValues(t *testing.T) {
	for in, want := range map[string]string{
		"plain": "plain", "": "", "retail/web": "retail_web", "--x--": "x", "ü": "",
		strings.Repeat("a", 62) + "/b": strings.Repeat("a", 62), "Cluster one!": "Cluster_one",
	} {
		got := labelValue(in)
		if problems := validation.IsValidLabelValue(got); got != want || len(problems) > 0 {
			t.Errorf("labelValue(%q) = %q %v, want %q", in, got, problems, want)
		}
	}
}

func TestDefaultAliases(t *testing.T) {
	for image, want := range map[string][]string{
		"postgres:16":                        {"postgres"},
		"postgres":                           {"postgres"},
		"bitnami/redis:7":                    {"bitnami__redis", "bitnami-redis"},
		"reg.example.com:5000/a/b:1":         {"reg.example.com__a__b", "reg.example.com-a-b"},
		"reg.example.com/a/b@sha256:0123456": {"reg.example.com__a__b", "reg.example.com-a-b"},
		"reg.example.com/a/b:1@sha256:01234": {"reg.example.com__a__b", "reg.example.com-a-b"},
	} {
		if diff := cmp.Diff(want, job.DefaultAliases(image)); diff != "" {
			t.Errorf("job.DefaultAliases(%q) (-want +got):\n%s", image, diff)
		}
	}
}

func TestCutEndsAtACharacter(t *testing.T) {
	for _, tt := range []struct {
		in    string
		limit int
		want  string
	}{
		{"", 4, ""},
		{"abcd", 4, "abcd"},
		{"abcde", 4, "abcd"},
		{"abcé", 4, "abc"},
		{"ab€", 4, "ab"},
		{"a\xffb", 9, "a\uFFFDb"},
		{"a\xffb", 3, "a"},
	} {
		if got := cut(tt.in, tt.limit); got != tt.want {
			t.Errorf("cut(%q, %d) = %q, want %q", tt.in, tt.limit, got, tt.want)
		}
	}
}

func TestPinnedImagesInMessages(t *testing.T) {
	pinned := "docker.io/library/debian@sha256:" + strings.Repeat("0f", 32)
	plan := &job.Plan{
		Image:    job.Image{Name: "debian:12", Pinned: pinned},
		Services: []job.Service{{Image: job.Image{Name: "postgres:16"}, Aliases: []string{"db"}}},
	}
	e := &Executor{cfg: &settings{}}
	for container, want := range map[string]string{
		"build":  `image "debian:12 (` + pinned + `)" of container build`,
		"db":     `image "docker.io/library/postgres:16" of container db`,
		"helper": `image "registry.example.com/helper:1" of container helper`,
	} {
		images := map[string]string{"build": pinned, "db": "docker.io/library/postgres:16", "helper": "registry.example.com/helper:1"}
		f := e.failure(plan, &trouble{container: container, image: images[container], state: "ErrImagePull", message: "not found", pull: true})
		if !strings.Contains(f.Message, want) {
			t.Errorf("failure of %s = %q, want %q in it", container, f.Message, want)
		}
	}
}

func TestContainerTroubles(t *testing.T) {
	type want struct {
		reason      job.Reason
		pull, heals bool
	}
	config, system := job.RunnerConfigurationError, job.RunnerSystemFailure
	tests := []struct {
		state, message string
		want           *want // nil: no trouble
	}{
		{"ContainerCreating", "", nil},
		{"PodInitializing", "", nil},
		{"Completed", "", nil},
		{"ErrImagePull", "dial tcp 10.0.0.1:443: i/o timeout", &want{job.ExternalDependencyFailure, true, true}},
		{"ErrImagePull", "net/http: TLS handshake timeout", &want{job.ExternalDependencyFailure, true, true}},
		{"ErrImagePull", "dial tcp: lookup registry: no such host: image not found", &want{job.ExternalDependencyFailure, true, true}},
		{"ErrImagePull", "manifest unknown", &want{config, true, false}},
		{"ErrImagePull", "no match for platform in manifest: NOT FOUND", &want{config, true, false}},
		{"ImagePullBackOff", "Back-off: ErrImagePull: unexpected status: 401 Unauthorized", &want{config, true, false}},
		{"ImagePullBackOff", "no basic auth credentials", &want{config, true, false}},
		{"ErrImagePull", "invalid reference format: repository name must be lowercase", &want{config, true, false}},
		{"ErrImagePull", "toomanyrequests: rate limit", &want{job.ImagePullFailure, true, true}},
		{"ImagePullBackOff", "", &want{job.ImagePullFailure, true, true}},
		{"RegistryUnavailable", "", &want{job.ExternalDependencyFailure, true, true}},
		{"ErrImageNeverPull", "not present with pull policy of Never", &want{job.ImagePullFailure, true, false}},
		{"SignatureValidationFailed", "", &want{job.ImagePullFailure, true, false}},
		{"ImageInspectError", "", &want{job.ImagePullFailure, true, false}},
		{
			"ImageInspectError", `Failed to inspect image "": rpc error: code = Unavailable desc = connection error: desc = "transport: Error while dialing: dial unix /run/containerd.sock: connect: connection refused"`,
			&want{job.ImagePullFailure, true, true},
		},
		{"InvalidImageName", "", &want{config, false, false}},
		{"CrashLoopBackOff", "", &want{config, false, false}},
		{"CreateContainerConfigError", `secret "x" not found`, &want{config, false, false}},
		{"CreateContainerConfigError", "failed to sync secret cache: timed out waiting for the condition", &want{config, false, true}},
		{
			"CreateContainerConfigError", `connection error: desc = "transport: Error while dialing: dial unix /run/containerd.sock: connect: no such file or directory"`,
			&want{config, false, true},
		},
		{"ImageInspectError", "rpc error: code = Unknown desc = error reading from server: EOF", &want{job.ImagePullFailure, true, true}},
		{"CreateContainerError", `failed to reserve container name: name "x" is reserved for "y"`, &want{system, false, true}},
		{"CreateContainerError", "no command specified", &want{system, false, false}},
		{"RunContainerError", "error reading from server: EOF", &want{system, false, true}}, // containerd was killed
		{"CreateContainerError", "rpc error: code = Canceled desc = context canceled", &want{system, false, true}},
		{"RunContainerError", "failed to create containerd task: failed to create shim task: OCI runtime create failed: runc create failed: cannot set uid", &want{system, false, false}},
		{"CreateContainerError", `failed to generate container "x" spec: failed to generate spec: path "/x" is mounted on "/" but it is not a shared mount`, &want{system, false, false}},
		{"StartError", "failed to create shim task: OCI runtime create failed", &want{system, false, false}},
		{"RunContainerError", `exec: "sh": executable file not found in $PATH`, &want{config, false, false}},
		{"CreateContainerError", "executable file `sh` not found in $PATH: No such file or directory", &want{config, false, false}},
		{"StartError", "exec /usr/bin/sh: exec format error", &want{config, false, false}},
		{"PostStartHookError", "", &want{config, false, false}},
	}
	for _, tt := range tests {
		trouble := containerTrouble(corev1.ContainerStatus{State: corev1.ContainerState{
			Waiting: &corev1.ContainerStateWaiting{Reason: tt.state, Message: tt.message},
		}})
		var got *want
		if trouble != nil {
			got = &want{trouble.reason, trouble.pull, trouble.heals}
		}
		if diff := cmp.Diff(tt.want, got, cmp.AllowUnexported(want{})); diff != "" {
			t.Errorf("%s %q (-want +got):\n%s", tt.state, tt.message, diff)
		}
	}
}

func TestTroublesThatCannotHealComeFirst(t *testing.T) {
	waiting := func(name, reason, message string) corev1.ContainerStatus {
		return corev1.ContainerStatus{Name: name, State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: message}}}
	}
	pod := &corev1.Pod{Status: corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{
		waiting("helper", "ErrImagePull", "connection refused"), waiting("build", "ErrImagePull", "not found"),
	}}}
	if got := findTrouble(pod); got == nil || got.container != "build" {
		t.Errorf("findTrouble = %+v, want that of build", got)
	}
}

func TestCredentialsNote(t *testing.T) {
	credentials := []job.Credential{{URL: "registry.example.com:5000", Username: "bot"}, {URL: "https://index.docker.io/v1/", Username: "hub"}}
	tests := []struct {
		name        string
		cfg         Config
		credentials []job.Credential
		host, want  string
	}{
		{"used", Config{}, credentials, "registry.example.com:5000", `tried with the job's credentials for registry.example.com:5000 (user "bot")`},
		{"Docker Hub", Config{}, credentials, "docker.io", `tried with the job's credentials for https://index.docker.io/v1/ (user "hub")`},
		{"other host", Config{}, credentials[:1], "ghcr.io", "tried without credentials: the job has some for registry.example.com:5000 only"},
		{"none", Config{}, nil, "ghcr.io", "tried without credentials: the job has none"},
		{"operator's", Config{ImagePullSecrets: []string{"a", "b"}}, nil, "ghcr.io", `tried with image_pull_secrets "a", "b"`},
		{"service account's", Config{UseServiceAccountImagePullSecrets: true}, credentials, "ghcr.io", "the service account's pull secrets were used"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.cfg.HelperImage = "helper"
			e, err := New(Client{API: fake.NewClientset()}, Identity{SystemID: "r_1"}, tt.cfg, zap.NewNop())
			if err != nil {
				t.Fatal(err)
			}
			if got := e.credentialsNote(&job.Plan{Credentials: tt.credentials}, tt.host); got != tt.want {
				t.Errorf("credentialsNote = %q, want %q", got, tt.want)
			}
		})
	}
}

// A job that another manager has taken over leaves nothing behind, whether Run has
// ended by then or not.
func TestLostJobIsForgotten(t *testing.T) {
	for _, ends := range []func(e *Executor){
		func(e *Executor) { e.release(1); e.room.made(1, time.Now()); e.room.over(1) },
		func(e *Executor) { e.room.over(1); e.release(1) },
	} {
		e, err := New(Client{API: fake.NewClientset()}, Identity{SystemID: "r_1", ShortToken: "t"}, Config{Namespace: "ci", HelperImage: "helper"}, zap.NewNop())
		if err != nil {
			t.Fatal(err)
		}
		e.claim(1, 1)
		e.room.begin(1, roomFor{usual: true})
		ends(e)
		if len(e.room.jobs) != 0 || e.isClaimed(1) {
			t.Errorf("known of the job: %+v", e.room.jobs)
		}
	}
}

func TestNewReportsAllThatIsWrong(t *testing.T) {
	_, err := New(Client{API: fake.NewClientset()}, Identity{}, Config{
		PullPolicies: []string{"sometimes"}, Build: ResourceList{CPULimit: "much"}, Service: ResourceList{MemoryRequest: "1 GB"},
		Namespaces: []string{"ci", "Other"}, Classes: map[string]ResourceList{"big": {MemoryLimit: "lots"}, "odd": {CPURequest: "2", CPULimit: "1"}},
		Namespace: "ci-$CI_JOB_ID", NodeTolerations: map[string]string{"x": "Never"}, DNSPolicy: "best",
	}, zap.NewNop())
	if err == nil {
		t.Fatal("New: no error")
	}
	for _, want := range []string{
		"helper_image: empty", `namespace: "ci-$CI_JOB_ID"`, `namespaces: "Other"`,
		`resource class "big": memory_limit: "lots"`, `resource class "odd": it requests 2 cpu, and its limit is 1`,
		`pull_policy: unknown policy "sometimes"`, `cpu_limit: "much"`, `service_memory_request: "1 GB"`,
		`node_tolerations: "x": unknown effect "Never"`, `dns_policy: unknown policy "best"`, "system ID",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("New: error does not say %q:\n%v", want, err)
		}
	}
}
