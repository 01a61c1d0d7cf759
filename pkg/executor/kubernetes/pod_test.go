package kubernetes_test

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/runnerd/runnerd/pkg/executor"
	"github.com/runnerd/runnerd/pkg/executor/kubernetes"
	"github.com/runnerd/runnerd/pkg/job"
)

var update = flag.Bool("update", false, "write the golden files")

func ptr[T any](v T) *T { return &v }

// TestPods compares whole pods with testdata/*.yaml; -update writes them.
func TestPods(t *testing.T) {
	full := simplePlan()
	full.JobURL, full.Ref, full.SHA, full.BeforeSHA = "https://gitlab.example.com/retail/web/shop/-/jobs/4711", "main", "0123abcd", "0000"
	full.Namespace = job.Namespace{ID: 7, RootID: 3, Path: "retail/web", Root: "retail"}
	full.ConcurrentProjectID = 2
	full.Image.User = "1000:1001"
	full.Image.PullPolicies = []string{"always"}
	full.Credentials = []job.Credential{{URL: "registry.example.com", Username: "gitlab-ci-token", Password: "s3cret"}}
	full.Environment = []job.Variable{
		{Key: "CI", Value: "true"},
		{Key: "CI", Value: "yes"},
		{Key: "PRICE", Value: "$(CI) costs $5"},
		{Key: "CI_SERVER_TLS_CA_FILE", Value: "-----BEGIN", File: true},
		{Key: "PATH", Value: "/opt/bin"},
		{Key: "not a name", Value: "x"},
	}
	full.Services = []job.Service{
		{
			Image:   job.Image{Name: "postgres:16", User: "999"},
			Aliases: []string{"db", "db.test"}, Variables: []job.Variable{{Key: "POSTGRES_PASSWORD", Value: "hidden"}, {Key: "CI", Value: "no"}},
		},
		{
			Image:   job.Image{Name: "registry.example.com:5000/a/b@sha256:" + sha, Entrypoint: []string{"sh"}},
			Command: []string{"-c", "echo $(date)"},
		},
	}

	tests := []struct {
		name string
		cfg  kubernetes.Config
		plan *job.Plan
	}{
		{name: "simple", plan: simplePlan()},
		{name: "full", plan: full, cfg: kubernetes.Config{
			PullPolicies: []string{"if-not-present"}, AllowedPullPolicies: []string{"always", "if-not-present"},
			ImagePullSecrets: []string{"team"}, ServiceAccount: "ci-job", AutomountServiceAccountToken: ptr(false),
			Build:      kubernetes.ResourceList{CPURequest: "500m", MemoryRequest: "1Gi", MemoryLimit: "2Gi", EphemeralStorageLimit: "10Gi"},
			Helper:     kubernetes.ResourceList{CPURequest: "50m", MemoryLimit: "256Mi"},
			Service:    kubernetes.ResourceList{CPULimit: "1"},
			Pod:        kubernetes.ResourceList{CPULimit: "4"},
			Privileged: ptr(true), AllowPrivilegeEscalation: ptr(true), CapAdd: []string{"SYS_PTRACE"}, CapDrop: []string{"MKNOD", "NET_RAW"},
			RuntimeClassName:       "gvisor",
			PodSecurityContext:     &corev1.PodSecurityContext{FSGroup: ptr[int64](2000), RunAsNonRoot: ptr(true)},
			BuildSecurityContext:   &corev1.SecurityContext{ReadOnlyRootFilesystem: ptr(true)},
			HelperSecurityContext:  &corev1.SecurityContext{RunAsUser: ptr[int64](1000)},
			ServiceSecurityContext: &corev1.SecurityContext{Privileged: ptr(false), Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}}},
			NodeSelector:           map[string]string{"pool": "ci"},
			NodeTolerations:        map[string]string{"ci=true": "NoSchedule", "spot": ""},
			PriorityClassName:      "low", SchedulerName: "binpack",
			PodLabels:      map[string]string{"team": "Retail & Web", "x.runner.gitlab.com/y": "no", "runnerd.io/manager": "no", "pod": "no"},
			PodAnnotations: map[string]string{"note": "CI is $CI"},
			DNSPolicy:      "none", DNSConfig: &corev1.PodDNSConfig{Nameservers: []string{"10.0.0.10"}},
			HostAliases: []corev1.HostAlias{{IP: "10.1.2.3", Hostnames: []string{"mirror"}}},
			PollTimeout: 5 * time.Minute, TerminationGracePeriod: 90 * time.Second,
		}},
		{name: "volumes", plan: mountPlan(), cfg: kubernetes.Config{
			Volumes: everyVolume(), Authority: kubernetes.Authority{ConfigMap: "trusted", Key: "ca-bundle.pem"},
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := start(t, newCluster(t), tt.cfg, tt.plan)
				pod := r.pod()
				pod.ManagedFields = nil
				got, err := yaml.Marshal(pod)
				if err != nil {
					t.Fatal(err)
				}
				golden(t, tt.name+".yaml", string(got))
			})
		})
	}
}

const sha = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got; -update writes it):\n%s", file, diff)
	}
}

// TestAuthority: every container has the file, whatever it is made of, and helper and
// build are told of it.
func TestAuthority(t *testing.T) {
	for name, authority := range map[string]kubernetes.Authority{
		"a file": {PEM: "-----BEGIN"}, "a Secret": {Secret: "ca", Key: "tls.crt"}, "a ConfigMap": {ConfigMap: "ca", Key: "ca.crt"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				plan := simplePlan()
				plan.Services = []job.Service{{Image: job.Image{Name: "redis"}}}
				pod := start(t, newCluster(t), kubernetes.Config{Authority: authority}, plan).pod()
				var volume corev1.Volume
				for _, v := range pod.Spec.Volumes {
					if v.Name == "runnerd-ca" {
						volume = v
					}
				}
				var items []corev1.KeyToPath
				switch {
				case volume.ConfigMap != nil:
					items = volume.ConfigMap.Items
				case volume.Secret != nil:
					items = volume.Secret.Items
				}
				if len(items) != 1 || items[0].Path != "ca.crt" {
					t.Errorf("the volume shows %v, want one file", items)
				}
				for _, c := range pod.Spec.Containers {
					if !slices.ContainsFunc(c.VolumeMounts, func(m corev1.VolumeMount) bool {
						return m.Name == "runnerd-ca" && m.MountPath == "/runnerd/ca" && m.ReadOnly
					}) {
						t.Errorf("container %s has no /runnerd/ca", c.Name)
					}
				}
			})
		})
	}
}

// What nobody but one container may see is in the Secrets, each under its key.
func TestSecretsOfAJob(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		plan := simplePlan()
		plan.Services = []job.Service{{Image: job.Image{Name: "postgres"}, Variables: []job.Variable{{Key: "POSTGRES_PASSWORD", Value: "hidden"}}}}
		plan.Credentials = []job.Credential{{URL: "docker.io", Username: "bot", Password: "pw"}}
		r := start(t, newCluster(t), kubernetes.Config{}, plan)
		name := r.pod().Name
		secrets := r.CoreV1().Secrets(namespace)

		planned, err := secrets.Get(t.Context(), name, metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		var keys []string
		for key := range planned.Data {
			keys = append(keys, key)
		}
		slices.Sort(keys)
		if diff := cmp.Diff([]string{job.BuildPlanFile, job.HelperPlanFile, "service-0-variable-0"}, keys); diff != "" {
			t.Errorf("keys (-want +got):\n%s", diff)
		}
		if got := string(planned.Data["service-0-variable-0"]); got != "hidden" {
			t.Errorf("service's variable = %q", got)
		}
		pull, err := secrets.Get(t.Context(), name+"-pull", metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		want := `{"auths":{"https://index.docker.io/v1/":{"username":"bot","password":"pw","auth":"Ym90OnB3"}}}`
		if got := string(pull.Data[corev1.DockerConfigJsonKey]); got != want {
			t.Errorf("docker config = %s, want %s", got, want)
		}
	})
}

func TestSettingsOfAJobThatCannotWork(t *testing.T) {
	tests := []struct {
		name   string
		change func(*job.Plan)
	}{
		{"user is a name", func(p *job.Plan) { p.Image.User = "root" }},
		{"service's user", func(p *job.Plan) { p.Services = []job.Service{{Image: job.Image{Name: "redis", User: "1:x"}}} }},
		{"alias is no host name", func(p *job.Plan) {
			p.Services = []job.Service{{Image: job.Image{Name: "redis"}, Aliases: []string{"My_Redis"}}}
		}},
		{"unknown pull policy", func(p *job.Plan) { p.Image.PullPolicies = []string{"sometimes"} }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				plan := simplePlan()
				tt.change(plan)
				r := start(t, newCluster(t), kubernetes.Config{}, plan)
				r.wait()
				failure, ok := errors.AsType[*job.Failure](r.err)
				if !ok || failure.Reason != job.RunnerConfigurationError || len(r.pods()) > 0 {
					t.Errorf("Run = %v", r.err)
				}
				if err := r.executor.Remove(t.Context(), executor.Task{Plan: plan}); err != nil {
					t.Errorf("Remove of a job that never began: %v", err)
				}
			})
		})
	}
}
