//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/runnerd/runnerd/internal/standin"
)

// dockerAuth is a DOCKER_AUTH_CONFIG for the private registry.
func dockerAuth(password string) standin.Variable {
	return standin.Variable{
		Key: "DOCKER_AUTH_CONFIG", Raw: true,
		Value: fmt.Sprintf(`{"auths":{"https://%s/v2/":{"username":"ci","password":%q}}}`, privateRegistry(), password),
	}
}

// TestPullCredentials: every way in which a job's pod comes by credentials for a
// private registry. Each job asks the registry anew, whatever the node has.
func TestPullCredentials(t *testing.T) {
	t.Parallel()
	private := standin.Image{Name: privateRegistry() + "/test/busybox:1", PullPolicy: []string{"always"}}
	right := []standin.Credential{{Type: "registry", URL: privateRegistry(), Username: "ci", Password: "registry-secret"}}
	wrong := []standin.Credential{{Type: "registry", URL: privateRegistry(), Username: "gitlab-ci-token", Password: "not-the-one"}}
	s := start(t, options{kubernetes: `pull_policy = ["always"]`})

	job := func(name string, credentials []standin.Credential, vars ...standin.Variable) *standin.Job {
		return s.add(standin.JobSpec{Name: name, Image: private, Credentials: credentials, Variables: vars, Script: []string{"echo pulled"}})
	}
	payload := job("payload", right)
	variable := job("variable", nil, dockerAuth("registry-secret"))
	both := job("variable before payload", wrong, dockerAuth("registry-secret"))
	for _, j := range []*standin.Job{payload, variable, both} {
		s.finish(j, standin.Success)
		says(t, j, "\npulled\n")
		if strings.Contains(j.Text(), "registry-secret") {
			t.Errorf("the log of %s shows the password", j.Name())
		}
	}

	denied := job("wrong", right, dockerAuth("not-the-secret"))
	s.finish(denied, standin.Failed)
	if denied.FailureReason() != "runner_configuration_error" {
		t.Errorf("wrong credentials are %s", denied.FailureReason())
	}
	says(t, denied, "cannot be pulled from "+privateRegistry(), "tried with the credentials of DOCKER_AUTH_CONFIG", `user "ci"`)
	t.Logf("what wrong credentials look like:\n%s", lastLine(denied.Text()))

	damaged := job("damaged", right, standin.Variable{Key: "DOCKER_AUTH_CONFIG", Value: `{"auths": `, Raw: true})
	s.finish(damaged, standin.Failed)
	if damaged.FailureReason() != "runner_configuration_error" {
		t.Errorf("a damaged DOCKER_AUTH_CONFIG is %s", damaged.FailureReason())
	}
	says(t, damaged, "DOCKER_AUTH_CONFIG is not JSON")

	helpers := job("helpers", right, standin.Variable{Key: "DOCKER_AUTH_CONFIG", Value: `{"credHelpers":{"ecr.example":"ecr-login"},"credsStore":"desktop"}`, Raw: true})
	s.finish(helpers, standin.Success)
	says(t, helpers, `"ecr-login" for "ecr.example" is not supported`, `credsStore "desktop" is not supported`)
}

// TestImagePullSecrets: the operator's Secret and the runner's own variable serve
// jobs that have no credentials, or wrong ones.
func TestImagePullSecrets(t *testing.T) {
	t.Parallel()
	private := standin.Image{Name: privateRegistry() + "/test/busybox:1", PullPolicy: []string{"always"}}
	s := start(t, options{kubernetes: `pull_policy = ["always"]` + "\nimage_pull_secrets = [\"operators\"]"})
	ctx := context.Background()
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: "operators"}, Type: corev1.SecretTypeDockerConfigJson,
		StringData: map[string]string{corev1.DockerConfigJsonKey: dockerAuth("registry-secret").Value},
	}
	if _, err := ground.api.CoreV1().Secrets(s.namespace).Create(ctx, secret, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	none := s.add(standin.JobSpec{Name: "none", Image: private, Script: []string{"echo pulled"}})
	s.finish(none, standin.Success)
	wrong := s.add(standin.JobSpec{Name: "wrong", Image: private, Script: []string{"echo pulled"}, Variables: []standin.Variable{dockerAuth("not-the-secret")}})
	s.finish(wrong, standin.Success)
	if err := ground.api.CoreV1().Secrets(s.namespace).Delete(ctx, "operators", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
}

// TestPinnedWithDockerAuth: the digest of a private image is asked for with the
// credentials that the pod has, here the runner's own.
func TestPinnedWithDockerAuth(t *testing.T) {
	t.Parallel()
	s := start(t, options{
		runner: fmt.Sprintf("environment = [%q]", "DOCKER_AUTH_CONFIG="+dockerAuth("registry-secret").Value),
		policy: fmt.Sprintf("pin_images = true\ninsecure_registries = [%q]", privateRegistry()),
	})
	j := s.add(standin.JobSpec{Name: "pinned", Image: standin.Image{Name: privateRegistry() + "/test/busybox:1"}, Script: []string{"echo pulled"}})
	s.finish(j, standin.Success)
	says(t, j, "is "+privateRegistry()+"/test/busybox@sha256:", "\npulled\n")
}
