package kubernetes_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/runnerd/runnerd/pkg/executor"
	"github.com/runnerd/runnerd/pkg/executor/kubernetes"
	"github.com/runnerd/runnerd/pkg/job"
)

// placing is a runner with something to choose from.
func placing() kubernetes.Config {
	return kubernetes.Config{
		Namespaces: []string{"ci-release", "ci", "ci-fork"}, ServiceAccount: "ci-job",
		NodeSelector:    map[string]string{"pool": "ci", "arch": "amd64"},
		NodeTolerations: map[string]string{"ci=true": "NoSchedule"},
		PodLabels:       map[string]string{"runnerd.io/network-tier": "internet", "runnerd.io/job": "1"},
		Build:           kubernetes.ResourceList{CPURequest: "1", MemoryRequest: "1Gi", MemoryLimit: "2Gi"},
		Classes: map[string]kubernetes.ResourceList{
			"large": {CPURequest: "8", MemoryLimit: "16Gi"},
			"empty": {},
		},
	}
}

func TestPlacement(t *testing.T) {
	type look struct {
		Namespace, ServiceAccount, Tier string
		Nodes                           map[string]string
		Tolerations                     []string
		Build                           corev1.ResourceRequirements
	}
	own := func(change func(*look)) look {
		l := look{
			Namespace: "ci", ServiceAccount: "ci-job", Nodes: map[string]string{"pool": "ci", "arch": "amd64"},
			Tolerations: []string{"ci=true:NoSchedule"},
			Build: corev1.ResourceRequirements{
				Requests: corev1.ResourceList{"cpu": resource.MustParse("1"), "memory": resource.MustParse("1Gi")},
				Limits:   corev1.ResourceList{"memory": resource.MustParse("2Gi")},
			},
		}
		change(&l)
		return l
	}
	tests := []struct {
		name      string
		placement job.Placement
		want      look
	}{
		{"none", job.Placement{}, own(func(*look) {})},
		{"namespace", job.Placement{Namespace: "ci-fork"}, own(func(l *look) { l.Namespace = "ci-fork" })},
		{"the runner's own namespace", job.Placement{Namespace: "ci"}, own(func(*look) {})},
		{"service account", job.Placement{ServiceAccount: "deploy"}, own(func(l *look) { l.ServiceAccount = "deploy" })},
		{
			"node selector is stronger",
			job.Placement{NodeSelector: map[string]string{"pool": "gpu", "zone": "a"}},
			own(func(l *look) { l.Nodes = map[string]string{"pool": "gpu", "arch": "amd64", "zone": "a"} }),
		},
		{
			"tolerations add up",
			job.Placement{NodeTolerations: map[string]string{"gpu": "", "a=b": "NoExecute"}},
			own(func(l *look) { l.Tolerations = []string{"ci=true:NoSchedule", "a=b:NoExecute", "gpu:"} }),
		},
		{
			"class beats the build's own, quantity by quantity",
			job.Placement{ResourceClass: "large"},
			own(func(l *look) {
				l.Build.Requests["cpu"], l.Build.Limits["memory"] = resource.MustParse("8"), resource.MustParse("16Gi")
			}),
		},
		{"class that sets nothing", job.Placement{ResourceClass: "empty"}, own(func(*look) {})},
		{"network tier", job.Placement{NetworkTier: "registry-only"}, own(func(l *look) { l.Tier = "registry-only" })},
	}
	cfg := placing()
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCluster(t)
				c.namespace = tt.want.Namespace
				plan := simplePlan()
				plan.Placement = tt.placement
				spec, meta := start(t, c, cfg, plan).pod().Spec, c.pod().ObjectMeta
				got := look{
					Namespace: meta.Namespace, ServiceAccount: spec.ServiceAccountName, Tier: meta.Labels["runnerd.io/network-tier"],
					Nodes: spec.NodeSelector, Build: spec.Containers[1].Resources,
				}
				for _, toleration := range spec.Tolerations {
					key := toleration.Key
					if toleration.Operator == corev1.TolerationOpEqual {
						key += "=" + toleration.Value
					}
					got.Tolerations = append(got.Tolerations, key+":"+string(toleration.Effect))
				}
				if diff := cmp.Diff(tt.want, got); diff != "" {
					t.Errorf("pod (-want +got):\n%s", diff)
				}
				if got := quantity(spec.Containers[0].Resources.Requests, "cpu"); got != "10m" {
					t.Errorf("the helper requests %q of CPU, want what it does of every pod", got)
				}
			})
		})
	}
	if diff := cmp.Diff(placing(), cfg); diff != "" {
		t.Errorf("the runner's settings have changed (-want +got):\n%s", diff)
	}
}

func TestPlacementThatTheRunnerDoesNotHave(t *testing.T) {
	tests := []struct {
		name      string
		placement job.Placement
		want      string
	}{
		{"namespace", job.Placement{Namespace: "kube-system"}, `"kube-system", which is none of this runner's ("ci", "ci-release", "ci-fork")`},
		{"resource class", job.Placement{ResourceClass: "huge"}, `"huge", which this runner does not have; it has "empty", "large"`},
		{"network tier", job.Placement{NetworkTier: "a b"}, `"a b", which cannot be a label`},
		{"toleration", job.Placement{NodeTolerations: map[string]string{"gpu": "Sometimes"}}, `node_tolerations: "gpu": unknown effect`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				plan := simplePlan()
				plan.Placement = tt.placement
				r := start(t, newCluster(t), placing(), plan)
				r.wait()
				failure, ok := errors.AsType[*job.Failure](r.err)
				if !ok || failure.Reason != job.RunnerConfigurationError || !strings.Contains(failure.Message, tt.want) {
					t.Errorf("Run = %v, want %s in it", r.err, tt.want)
				}
				if err := r.executor.Remove(t.Context(), r.task); err != nil {
					t.Errorf("Remove: %v", err)
				}
				for _, action := range r.Actions() {
					if verb := action.GetVerb(); verb == "create" || verb == "delete" && action.GetNamespace() == "kube-system" {
						t.Errorf("%s of %s in %s", verb, action.GetResource().Resource, action.GetNamespace())
					}
				}
			})
		})
	}
}

// objects counts what a namespace holds of jobs.
func (c *cluster) objects(namespace string) (pods, secrets int) {
	c.t.Helper()
	podList, err := c.CoreV1().Pods(namespace).List(context.Background(), metav1.ListOptions{})
	if err != nil {
		c.t.Fatal(err)
	}
	secretList, err := c.CoreV1().Secrets(namespace).List(context.Background(), metav1.ListOptions{})
	if err != nil {
		c.t.Fatal(err)
	}
	return len(podList.Items), len(secretList.Items)
}

func TestJobInAnotherNamespace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t)
		c.namespace = "ci-fork"
		plan := simplePlan()
		plan.Placement.Namespace = "ci-fork"
		plan.Credentials = []job.Credential{{URL: "registry.example.com", Username: "gitlab-ci-token", Password: "s3cret"}}
		r := start(t, c, placing(), plan)
		log := r.start()
		log.write("hello\n")
		r.signals <- job.CancelGracefully
		synctest.Wait()
		if got := r.pod().Annotations["runnerd.io/signal"]; got != "cancel" {
			t.Errorf("annotation runnerd.io/signal = %q, want cancel", got)
		}
		log.event(job.Event{Canceling: true})
		log.result(job.Outcome{State: job.Canceled, Reason: job.JobCanceled})
		r.wait()
		if r.err != nil || r.outcome.State != job.Canceled || r.log.String() != "hello\n" {
			t.Errorf("Run = %+v, %v, log %q", r.outcome, r.err, r.log)
		}
		if !strings.Contains(r.notes.String(), "Using Kubernetes namespace: ci-fork\n") {
			t.Errorf("notes = %q", r.notes)
		}
		if pods, secrets := c.objects("ci-fork"); pods != 1 || secrets != 2 {
			t.Errorf("ci-fork holds %d pods and %d Secrets", pods, secrets)
		}
		if pods, secrets := c.objects("ci"); pods+secrets > 0 {
			t.Errorf("ci holds %d pods and %d Secrets", pods, secrets)
		}
		if err := r.executor.Remove(t.Context(), r.task); err != nil {
			t.Errorf("Remove: %v", err)
		}
		if pods, secrets := c.objects("ci-fork"); pods+secrets > 0 {
			t.Errorf("after Remove ci-fork holds %d pods and %d Secrets", pods, secrets)
		}
	})
}

// The pod's status, not only its log, is seen in every namespace.
func TestTroubleInAnotherNamespace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t)
		c.namespace = "ci-release"
		plan := simplePlan()
		plan.Placement = job.Placement{Namespace: "ci-release", ResourceClass: "large"}
		r := start(t, c, placing(), plan)
		r.start()
		r.update(func(p *corev1.Pod) {
			setStatus(p, "build", corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{Reason: "OOMKilled", ExitCode: 137}})
		})
		took := r.wait()
		failure, ok := errors.AsType[*job.Failure](r.err)
		if !ok || failure.Reason != job.ScriptFailure || !strings.Contains(failure.Message, "its limit of 16Gi") || took > time.Minute {
			t.Errorf("Run = %v after %v, want the class's limit", r.err, took)
		}
	})
}

func TestSweepCoversAllNamespaces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t)
		for i, namespace := range []string{"ci", "ci-fork", "ci-release"} {
			plan := simplePlan()
			plan.JobID += int64(i)
			plan.Placement.Namespace = namespace
			old := start(t, c, placing(), plan)
			old.cancel(executor.ErrDetached)
			old.wait()
		}
		plan := simplePlan()
		plan.JobID, plan.Placement.Namespace = 1, "ci-fork"
		r := start(t, c, placing(), plan)
		n, err := r.executor.Sweep(t.Context())
		if err != nil || n != 3 {
			t.Errorf("Sweep = %d, %v, want 3", n, err)
		}
		for namespace, left := range map[string]int{"ci": 0, "ci-fork": 1, "ci-release": 0} {
			if pods, secrets := c.objects(namespace); pods != left || secrets != left {
				t.Errorf("%s holds %d pods and %d Secrets, want %d", namespace, pods, secrets, left)
			}
		}
	})
}

// What runs is the digest; names come from what the author has written.
func TestPinnedImagesRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		plan := simplePlan()
		plan.Image = job.Image{Name: "debian:12", Pinned: "docker.io/library/debian@sha256:" + sha}
		plan.Services = []job.Service{
			{Image: job.Image{Name: "postgres:16", Pinned: "docker.io/library/postgres@sha256:" + sha}},
			{Image: job.Image{Name: "redis:7"}},
		}
		r := start(t, newCluster(t), kubernetes.Config{}, plan)
		var images []string
		for _, c := range r.pod().Spec.Containers[1:] {
			images = append(images, c.Image)
		}
		want := []string{plan.Services[0].Pinned, "redis:7", plan.Image.Pinned}
		if diff := cmp.Diff(want, images); diff != "" {
			t.Errorf("images (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff([]corev1.HostAlias{{IP: "127.0.0.1", Hostnames: []string{"postgres", "redis"}}}, r.pod().Spec.HostAliases); diff != "" {
			t.Errorf("host aliases (-want +got):\n%s", diff)
		}
		if line := "Using Kubernetes executor with image debian:12 (" + plan.Image.Pinned + ") ..."; !strings.Contains(r.notes.String(), line) {
			t.Errorf("notes = %q, want %q in them", r.notes, line)
		}
	})
}
