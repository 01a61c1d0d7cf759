package config

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestLoadGitLabRunnersFile(t *testing.T) {
	t.Setenv("MAIN_RUNNER_TOKEN", "glrt-t1_abcdefghijkl")
	path := filepath.Join("testdata", "gitlab-runner.toml")
	c, warnings, err := Load(path)
	if err != nil {
		t.Fatalf("Load(%q): %v", path, err)
	}

	var got []string
	for _, w := range warnings {
		got = append(got, strings.TrimPrefix(w.String(), path+":"))
	}
	want := []string{
		`9: session_server: GitLab Runner's key has no effect here: runnerd offers no terminal in a running job`,
		`34: runners[0].feature_flags.FF_USE_ADVANCED_POD_SPEC_CONFIGURATION: GitLab Runner's flag has no effect here: runnerd has one way of doing what it chooses; scripts still see it as a variable`,
		`77: runners[0].kubernetes.poll_interval: GitLab Runner's key has no effect here: runnerd watches pods and does not poll them`,
		`167: runners[0].kubernetes.pod_spec: GitLab Runner's key has no effect here: runnerd does not patch the pod's spec`,
		`179: runners[1].docker: GitLab Runner's key has no effect here: it belongs to another executor; runnerd runs jobs on Kubernetes only`,
		`186: runners[1].kubernetes.namespace: empty; job pods run in the namespace "default". Name another one, jobs need no access to that`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("warnings (-want +got):\n%s", diff)
	}

	checkMainRunner(t, c)
	protected := c.Runners[1]
	if !protected.Policy.ProtectedRefsOnly || protected.Policy.Contact != "#ci-help" {
		t.Errorf("policy = %+v, want protected refs only with a contact", protected.Policy)
	}
	if protected.Kubernetes.Namespace != "default" {
		t.Errorf("namespace = %q, want the default", protected.Kubernetes.Namespace)
	}
}

// checkMainRunner looks at one value of each shape.
func checkMainRunner(t *testing.T, c *Config) {
	t.Helper()
	r := c.Runners[0]
	k := r.Kubernetes
	got := map[string]any{
		"concurrent":     c.Concurrent,
		"check_interval": c.CheckInterval.Duration(),
		"token":          r.Token.Reveal(),
		"obtained":       r.TokenObtainedAt.UTC(),
		"unhealthy":      r.UnhealthyInterval.Duration(),
		"environment":    r.Environment,
		"pull":           []string(k.PullPolicy),
		"images":         k.AllowedImages,
		"cpu":            k.BuildResources.CPURequest + " " + k.ServiceResources.CPURequest + " " + k.HelperResources.CPURequest,
		"grace":          k.CleanupGracePeriod,
		"privileged":     k.Privileged,
		"user":           k.PodSecurityContext.RunAsUser.Ptr(),
		"unset":          k.BuildSecurityContext.RunAsGroup.Ptr(),
		"groups":         k.PodSecurityContext.SupplementalGroups,
		"tolerations":    k.NodeTolerations,
		"options":        k.DNSConfig.Options,
		"affinity":       k.Affinity.Node.Preferred,
		"config map":     k.Volumes.ConfigMaps,
		"s3 auth":        r.Cache.S3.AuthenticationType,
		"s3 concurrency": r.Cache.S3.AssumeRoleMaxConcurrency,
	}
	want := map[string]any{
		"concurrent":     30,
		"check_interval": 3 * time.Second,
		"token":          "glrt-t1_abcdefghijkl",
		"obtained":       time.Date(2026, 3, 1, 9, 30, 0, 0, time.UTC),
		"unhealthy":      10 * time.Minute,
		"environment":    []string{"GIT_DEPTH=10", "FF_TIMESTAMPS=true", "EMPTY="},
		"pull":           []string{"if-not-present", "always"},
		"images":         []string{"registry.example.com/**", "docker.io/library/*"},
		"cpu":            "500m 100m 50m",
		"grace":          Some[int64](0),
		"privileged":     Some(false),
		"user":           Some[int64](1000).Ptr(),
		"unset":          (*int64)(nil),
		"groups":         []int64{10, 20},
		"tolerations":    map[string]string{"dedicated=ci": "NoSchedule", "spot": ""},
		"options":        []DNSOption{{Name: "ndots", Value: Some("2")}, {Name: "edns0"}},
		"affinity": []PreferredNodeTerm{{Weight: 100, Preference: NodeTerm{
			MatchExpressions: []Expression{{Key: "zone", Operator: "In", Values: []string{"a", "b"}}},
		}}},
		"config map": []ConfigMapVolume{{
			Mount: Mount{Name: "npmrc", MountPath: "/etc/npmrc"}, Items: map[string]string{"npm.rc": "npmrc"},
		}},
		"s3 auth":        "access-key",
		"s3 concurrency": 5,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("values (-want +got):\n%s", diff)
	}
}

func TestDefaults(t *testing.T) {
	c, warnings, err := Parse("config.toml", []byte("listen_address = \"localhost\"\n[labels]\nzone = \"a01\"\npool = \"big\"\n"+
		"[[runners]]\nurl = \"http://gitlab\"\ntoken = \"x\"\nexecutor = \"local\"\n[runners.labels]\npool = \"small\"\n"))
	if err != nil || len(warnings) > 0 {
		t.Fatalf("Parse: warnings %v, error %v", warnings, err)
	}
	r := c.Runners[0]
	got := []any{
		c.Concurrent, c.CheckInterval.Duration(), c.LogLevel, c.LogFormat, c.ListenAddress, c.ShutdownTimeout.Duration(), c.ConnectionMaxAge.Duration(),
		r.RequestConcurrency, r.BuildsDir, r.OutputLimitKiB, r.UnhealthyRequestsLimit, r.UnhealthyInterval.Duration(),
		r.FinalUpdateRetryLimit, r.Labels, r.Kubernetes.PollTimeout.Duration(), r.Kubernetes.Namespace,
		r.Artifact.UploadTimeout.Duration(), r.Artifact.ResponseHeaderTimeout.Duration(),
	}
	want := []any{
		1, 3 * time.Second, "info", "runner", "localhost:9252", 30 * time.Second, 15 * time.Minute,
		1, "/builds", 4096, 3, time.Hour,
		10,
		map[string]string{"zone": "a01", "pool": "small"},
		3 * time.Minute, "default",
		time.Hour, 10 * time.Minute,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("defaults (-want +got):\n%s", diff)
	}
}

func TestArtifactTimeouts(t *testing.T) {
	head := "[[runners]]\nurl = \"http://gitlab\"\ntoken = \"x\"\nexecutor = \"local\"\n[runners.artifact]\n"
	for text, want := range map[string]Artifact{
		"upload_timeout = \"2h\"\nresponse_header_timeout = \"30s\"": {2 * Duration(time.Hour), 30 * Duration(time.Second)},
		"upload_timeout = \"0s\"\nresponse_header_timeout = \"-1s\"": {Duration(time.Hour), 10 * Duration(time.Minute)},
	} {
		c, warnings, err := Parse("config.toml", []byte(head+text))
		if err != nil || len(warnings) > 0 {
			t.Fatalf("Parse: warnings %v, error %v", warnings, err)
		}
		if got := c.Runners[0].Artifact; got != want {
			t.Errorf("%q: %+v, want %+v", text, got, want)
		}
	}
	if _, _, err := Parse("config.toml", []byte(head+"upload_timeout = \"soon\"")); err == nil || !strings.Contains(err.Error(), "upload_timeout") {
		t.Errorf("a timeout of \"soon\": %v, want an error that names the key", err)
	}
}

func TestSecretsDoNotPrint(t *testing.T) {
	t.Setenv("MAIN_RUNNER_TOKEN", "glrt-t1_abcdefghijkl")
	c, _, err := Load(filepath.Join("testdata", "gitlab-runner.toml"))
	if err != nil {
		t.Fatal(err)
	}
	for _, verb := range []string{"%v", "%+v", "%#v"} {
		text := fmt.Sprintf(verb, *c)
		for _, secret := range []string{"glrt-", "hunter2"} {
			if strings.Contains(text, secret) {
				t.Errorf("Sprintf(%q) of the configuration shows %q", verb, secret)
			}
		}
	}
}

func TestLoadMissingFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "config.toml")
	if _, _, err := Load(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Load(%q) = %v, want an error that is os.ErrNotExist", path, err)
	}
}

// TestPollingKeys: keys that have an effect are not said to have none, and zero
// means GitLab Runner's default where it does there.
func TestPollingKeys(t *testing.T) {
	const text = `shutdown_timeout = 0
connection_max_age = "1h"
[[runners]]
url = "https://gitlab.example.com"
token = "glrt-x"
executor = "local"
strict_check_interval = true
`
	c, warnings, err := Parse("config.toml", []byte(text))
	if err != nil || len(warnings) > 0 {
		t.Fatalf("Parse: %v, warnings %v", err, warnings)
	}
	if c.ShutdownTimeout.Duration() != 30*time.Second || c.ConnectionMaxAge.Duration() != time.Hour || !c.Runners[0].StrictCheckInterval {
		t.Errorf("shutdown_timeout %v, connection_max_age %v, strict_check_interval %v",
			c.ShutdownTimeout.Duration(), c.ConnectionMaxAge.Duration(), c.Runners[0].StrictCheckInterval)
	}
}
