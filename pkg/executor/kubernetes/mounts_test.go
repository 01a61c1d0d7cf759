package kubernetes_test

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/runnerd/runnerd/pkg/executor/kubernetes"
	"github.com/runnerd/runnerd/pkg/job"
)

// mountPlan is a job that tries to be another project.
func mountPlan() *job.Plan {
	plan := simplePlan()
	plan.ProjectPath = "retail/web/shop"
	plan.Environment = []job.Variable{{Key: "CI_PROJECT_ID", Value: "1"}, {Key: "DEPTH", Value: "deep/er"}}
	plan.Services = []job.Service{{Image: job.Image{Name: "redis:7"}}}
	return plan
}

func claim(name string) corev1.VolumeSource {
	return corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: name}}
}

// everyVolume has one of each kind, names that need a change, and one volume that is
// mounted twice.
func everyVolume() []kubernetes.Volume {
	size := resource.MustParse("64Mi")
	return []kubernetes.Volume{
		{Name: "docker", Path: "/var/run/docker.sock", ReadOnly: true, Propagation: corev1.MountPropagationHostToContainer, Source: corev1.VolumeSource{
			HostPath: &corev1.HostPathVolumeSource{Path: "/var/run/docker.sock"},
		}},
		{Name: "modules-$CI_PROJECT_ID", Path: "/go/pkg/mod", SubPath: "$CI_PROJECT_NAME/$DEPTH", Source: claim("modules-$CI_PROJECT_ID")},
		{Name: "modules-42", Path: "/mirror", Source: claim("modules-42")},
		{Name: "npm.rc", Path: "/etc/npmrc", SubPath: "npmrc", Source: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{
			LocalObjectReference: corev1.LocalObjectReference{Name: "npm.rc"}, Items: []corev1.KeyToPath{{Key: "npm.rc", Path: "npmrc"}},
		}}},
		{Name: "npm.rc", Path: "/secrets/$CI_PROJECT_PATH/", ReadOnly: true, Source: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: "npm.rc"}}},
		{Name: "runnerd-share", Path: "/scratch", Source: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{Medium: corev1.StorageMediumMemory, SizeLimit: &size}}},
		{Name: "work", Path: "/builds", Source: claim("work")},
	}
}

func TestVolumesThatCannotBeMounted(t *testing.T) {
	for _, tt := range []struct {
		name   string
		volume kubernetes.Volume
		want   string
	}{
		{"over runnerd's own", kubernetes.Volume{Path: "/$CI_PROJECT_NAME/share"}, `mount_path "/runnerd/share" would hide what runnerd itself has at /runnerd`},
		{"at another one's place", kubernetes.Volume{Path: "$ROOT/cache"}, `mount_path "/cache" is that of volume "first" as well`},
		{"nowhere", kubernetes.Volume{Path: "$NONE"}, `mount_path "$NONE" is "." for this job, which is no absolute path`},
		{"out of the volume", kubernetes.Volume{Path: "/x", SubPath: "a/$UP"}, `sub_path "a/$UP" is "a/../.." for this job, which leads out of the volume`},
		{"a claim without a name", kubernetes.Volume{Path: "/x", Source: claim("$NONE")}, `volume "second" of the runner's config is the claim ""`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				plan := simplePlan()
				plan.ProjectPath = "group/runnerd"
				plan.Environment = []job.Variable{{Key: "UP", Value: "../.."}, {Key: "ROOT", Value: "/x/.."}}
				tt.volume.Name = "second"
				first := kubernetes.Volume{Name: "first", Path: "/cache", Source: claim("first")}
				r := start(t, newCluster(t), kubernetes.Config{Volumes: []kubernetes.Volume{first, tt.volume}}, plan)
				r.wait()
				failure, ok := errors.AsType[*job.Failure](r.err)
				if !ok || failure.Reason != job.RunnerConfigurationError || !strings.Contains(failure.Message, tt.want) || len(r.pods()) > 0 {
					t.Errorf("Run = %v, want %s in it, and no pod", r.err, tt.want)
				}
				if err := r.executor.Remove(t.Context(), r.task); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// TestSafeDefaults: what a pod has that nobody has said anything about, and when not.
func TestSafeDefaults(t *testing.T) {
	yes := true
	for _, tt := range []struct {
		name     string
		cfg      kubernetes.Config
		account  string // that a rule chooses
		token    string
		escalate []string // of helper and build
		requests string   // of the build container
	}{
		{"nothing is said", kubernetes.Config{}, "", "false", []string{"false", "false"}, "50m 128Mi"},
		{"an account by the config", kubernetes.Config{ServiceAccount: "ci"}, "", "-", []string{"false", "false"}, "50m 128Mi"},
		{"an account by a rule", kubernetes.Config{}, "deployer", "-", []string{"false", "false"}, "50m 128Mi"},
		{"privileged", kubernetes.Config{Privileged: &yes}, "", "false", []string{"false", "-"}, "50m 128Mi"},
		{"SYS_ADMIN", kubernetes.Config{CapAdd: []string{"SYS_ADMIN"}}, "", "false", []string{"-", "-"}, "50m 128Mi"},
		{"escalation", kubernetes.Config{AllowPrivilegeEscalation: &yes}, "", "false", []string{"true", "true"}, "50m 128Mi"},
		{"a limit", kubernetes.Config{Build: kubernetes.ResourceList{MemoryLimit: "64Mi"}}, "", "false", []string{"false", "false"}, "50m "},
		{"of the whole pod", kubernetes.Config{Pod: kubernetes.ResourceList{MemoryLimit: "1Gi"}}, "", "false", []string{"false", "false"}, " "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				plan := simplePlan()
				plan.Placement.ServiceAccount = tt.account
				spec := start(t, newCluster(t), tt.cfg, plan).pod().Spec
				if got := boolean(spec.AutomountServiceAccountToken); got != tt.token {
					t.Errorf("automountServiceAccountToken: %s, want %s", got, tt.token)
				}
				if got := spec.SecurityContext.SeccompProfile; got == nil || got.Type != corev1.SeccompProfileTypeRuntimeDefault {
					t.Errorf("seccompProfile: %v, want RuntimeDefault", got)
				}
				for i, want := range tt.escalate {
					if got := boolean(spec.Containers[i].SecurityContext.AllowPrivilegeEscalation); got != want {
						t.Errorf("%s: allowPrivilegeEscalation: %s, want %s", spec.Containers[i].Name, got, want)
					}
				}
				build := spec.Containers[1].Resources.Requests
				if got := quantity(build, "cpu") + " " + quantity(build, "memory"); got != tt.requests {
					t.Errorf("the build container requests %q, want %q", got, tt.requests)
				}
			})
		})
	}
}

func boolean(b *bool) string {
	switch {
	case b == nil:
		return "-"
	case *b:
		return "true"
	}
	return "false"
}
