//go:build e2e

package kubernetes_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/runnerd/runnerd/pkg/executor"
	"github.com/runnerd/runnerd/pkg/executor/kubernetes"
	"github.com/runnerd/runnerd/pkg/job"
)

func TestE2ECancelRunsAfterScript(t *testing.T) {
	t.Parallel()
	r := newReal(t, kubernetes.Config{})
	j := r.start(t, withAfterScript(livePlan(image("test/debian:1"), "echo begun", "sleep 300"), "echo after-$CI_JOB_STATUS"))
	j.await("\nbegun")
	at := time.Now()
	j.signals <- job.CancelGracefully
	j.wait()
	log, _ := j.log.get()
	if j.err != nil || j.outcome.Reason != job.JobCanceled || !strings.Contains(log, "after-canceled") {
		t.Errorf("Run = %+v, %v\n%s", j.outcome, j.err, log)
	}
	t.Logf("cancel to end: %v", time.Since(at))
}

func TestE2EImagesThatCannotWork(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, image, policy string
		want                job.Reason
		says                string
	}{
		{"missing", image("test/nosuch:1"), "", job.RunnerConfigurationError, "cannot be pulled from"},
		{"denied", os.Getenv("RUNNERD_REGISTRY_AUTH") + "/test/debian:1", "always", job.RunnerConfigurationError, "without credentials"},
		{"never", image("test/unseen:1"), "never", job.ImagePullFailure, "pull policy is never"},
		{"no shell", image("test/distroless:1"), "", job.RunnerConfigurationError, "has no shell"},
		{"bad name", "UPPER/case:1", "", job.RunnerConfigurationError, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cfg := kubernetes.Config{}
			if tt.policy != "" {
				cfg.AllowedPullPolicies = []string{tt.policy}
			}
			r := newReal(t, cfg)
			plan := livePlan(tt.image, "true")
			if tt.policy != "" {
				plan.Image.PullPolicies = []string{tt.policy}
			}
			j := r.start(t, plan)
			j.wait()
			took := time.Since(j.began)
			var failure *job.Failure
			if !errors.As(j.err, &failure) || failure.Reason != tt.want || !strings.Contains(failure.Message, tt.says) || took > 15*time.Second {
				t.Errorf("Run = %+v, %v after %v", j.outcome, j.err, took)
			}
			t.Logf("%v: %v", took, j.err)
		})
	}
}

func TestE2EPrivateImage(t *testing.T) {
	t.Parallel()
	r := newReal(t, kubernetes.Config{AllowedPullPolicies: []string{"always"}})
	plan := livePlan(os.Getenv("RUNNERD_REGISTRY_AUTH")+"/test/debian:1", "echo fine")
	plan.Image.PullPolicies = []string{"always"}
	plan.Credentials = []job.Credential{{URL: os.Getenv("RUNNERD_REGISTRY_AUTH"), Username: "ci", Password: "registry-secret"}}
	j := r.start(t, plan)
	j.wait()
	if j.err != nil || j.outcome.State != job.Success {
		t.Errorf("Run = %+v, %v", j.outcome, j.err)
	}
}

func TestE2EImagesThatWork(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"test/busybox:1", "test/nonroot:1", "test/sh:1"} {
		t.Run(path.Base(name), func(t *testing.T) {
			r := newReal(t, kubernetes.Config{})
			j := r.start(t, livePlan(image(name), "echo fine"))
			j.wait()
			if log, _ := j.log.get(); j.err != nil || j.outcome.State != job.Success {
				t.Errorf("Run = %+v, %v\n%s", j.outcome, j.err, log)
			}
			t.Logf("%v", time.Since(j.began))
		})
	}
}

func TestE2EService(t *testing.T) {
	t.Parallel()
	r := newReal(t, kubernetes.Config{})
	plan := livePlan(image("test/debian:1"), "getent hosts web", "getent hosts "+strings.ReplaceAll(path.Base(image("test/busybox")), ":", ""),
		"for i in 1 2 3 4 5 6 7 8 9 10; do exec 3<>/dev/tcp/web/8080 && break; sleep 0.3; done", "printf 'GET / HTTP/1.0\\r\\n\\r\\n' >&3", "cat <&3")
	plan.Services = []job.Service{{
		Image:   job.Image{Name: image("test/busybox:1"), Entrypoint: []string{"sh", "-c"}},
		Aliases: []string{"web"}, Command: []string{`echo "$(echo hi) $SECRET" > /tmp/index.html; exec httpd -f -p 8080 -h /tmp`},
		Variables: []job.Variable{{Key: "SECRET", Value: "only-in-the-secret $$"}},
	}}
	plan.Build.Steps[0].Script[1] = "true"
	j := r.start(t, plan)
	j.wait()
	if log, _ := j.log.get(); j.err != nil || j.outcome.State != job.Success || !strings.Contains(log, "hi only-in-the-secret $$") {
		t.Errorf("Run = %+v, %v\n%s", j.outcome, j.err, log)
	}
}

func TestE2EPodDeletedFromOutside(t *testing.T) {
	t.Parallel()
	r := newReal(t, kubernetes.Config{})
	j := r.start(t, livePlan(image("test/debian:1"), "echo begun", "sleep 300"))
	j.await("\nbegun")
	pods, err := r.client.API.CoreV1().Pods("default").List(context.Background(),
		metav1.ListOptions{LabelSelector: fmt.Sprintf("runnerd.io/job=%d", j.task.Plan.JobID)})
	if err != nil || len(pods.Items) != 1 {
		t.Fatalf("%d pods, %v", len(pods.Items), err)
	}
	if err := r.client.API.CoreV1().Pods("default").Delete(context.Background(), pods.Items[0].Name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	at := time.Now()
	j.wait()
	var failure *job.Failure
	if errors.As(j.err, &failure) {
		j.outcome.Reason = failure.Reason
	}
	if j.outcome.Reason != job.RunnerSystemFailure {
		t.Errorf("Run = %+v, %v", j.outcome, j.err)
	}
	t.Logf("%v: %+v, %v", time.Since(at), j.outcome, j.err)
}

func TestE2EDetachAndRemove(t *testing.T) {
	t.Parallel()
	r := newReal(t, kubernetes.Config{})
	j := r.start(t, livePlan(image("test/debian:1"), "echo begun", "sleep 300"))
	j.await("\nbegun")
	at := time.Now()
	j.cancel(executor.ErrAborted)
	j.wait()
	if took := time.Since(at); !errors.Is(j.err, executor.ErrAborted) || took > 200*time.Millisecond {
		t.Errorf("Run = %v after %v, want ErrAborted at once", j.err, took)
	}
	at = time.Now()
	for range 2 {
		if err := r.Remove(context.Background(), j.task); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("Remove of a running job: %v", time.Since(at))
	secrets, err := r.client.API.CoreV1().Secrets("default").List(context.Background(),
		metav1.ListOptions{LabelSelector: fmt.Sprintf("runnerd.io/job=%d", j.task.Plan.JobID)})
	if err != nil && !apierrors.IsForbidden(err) || secrets != nil && len(secrets.Items) > 0 {
		t.Errorf("Secrets left: %v, %v", secrets, err)
	}
}
