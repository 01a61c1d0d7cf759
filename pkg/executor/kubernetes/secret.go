package kubernetes

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/runnerd/runnerd/pkg/job"
)

// planSecret holds the plan's two parts and the services' variables, each under
// a key of its own.
func (e *Executor) planSecret(plan *job.Plan) (*corev1.Secret, error) {
	part := plan.Helper
	part.MemoryDir, part.Authority = memoryDir, e.cfg.Authority.file()
	part.Stays = helperStays
	if e.cfg.KeepFailedPods > 0 {
		part.Stays = helperStaysKept
	}
	helper, err := job.EncodePlan(&part)
	if err != nil {
		return nil, fmt.Errorf("helper: %w", err)
	}
	buildPart := plan.Build
	buildPart.KeepFailed, buildPart.Authority = e.cfg.KeepFailedPods, e.cfg.Authority.file()
	build, err := job.EncodePlan(&buildPart)
	if err != nil {
		return nil, fmt.Errorf("build: %w", err)
	}
	data := map[string][]byte{job.HelperPlanFile: helper, job.BuildPlanFile: build}
	size := len(helper) + len(build)
	if pem := e.cfg.Authority.PEM; pem != "" {
		data[authorityKey] = []byte(pem)
		size += len(pem)
	}
	for i, service := range plan.Services {
		for n, v := range service.Variables {
			if usableName(v.Key) {
				data[serviceKey(i, n)] = []byte(v.Value)
				size += len(v.Value)
			}
		}
	}
	if size > corev1.MaxSecretSize {
		return nil, job.Failf(job.RunnerConfigurationError,
			"job is too large for a pod: its scripts and variables take %d KiB compressed, a Kubernetes Secret holds %d KiB; "+
				"move large values into files of the repository or into artifacts", size>>10, corev1.MaxSecretSize>>10)
	}
	return e.secret(plan, secretName(e.id, plan), corev1.SecretTypeOpaque, data), nil
}

// pullSecret holds the job's registry credentials; nil when it has none.
func (e *Executor) pullSecret(plan *job.Plan) (*corev1.Secret, error) {
	if len(plan.Credentials) == 0 || e.cfg.UseServiceAccountImagePullSecrets {
		return nil, nil
	}
	type login struct {
		Username string `json:"username"`
		Password string `json:"password"`
		Auth     string `json:"auth"`
	}
	auths := make(map[string]login, len(plan.Credentials))
	for _, c := range plan.Credentials {
		pair := c.Username + ":" + c.Password.Reveal()
		auths[registryKey(c.URL)] = login{c.Username, c.Password.Reveal(), base64.StdEncoding.EncodeToString([]byte(pair))}
	}
	text, err := json.Marshal(map[string]any{"auths": auths})
	if err != nil {
		return nil, fmt.Errorf("registry credentials: %w", err)
	}
	data := map[string][]byte{corev1.DockerConfigJsonKey: text}
	return e.secret(plan, pullSecretName(e.id, plan), corev1.SecretTypeDockerConfigJson, data), nil
}

// registryKey is how the kubelet looks a registry up. Docker Hub has a name of
// its own for historical reasons.
func registryKey(url string) string {
	switch strings.TrimSuffix(strings.TrimPrefix(strings.TrimPrefix(url, "https://"), "http://"), "/") {
	case "docker.io", "index.docker.io", "registry-1.docker.io":
		return "https://index.docker.io/v1/"
	}
	return url
}

func (e *Executor) secret(plan *job.Plan, name string, kind corev1.SecretType, data map[string][]byte) *corev1.Secret {
	immutable := true
	return &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: e.namespace(plan), Labels: e.ownLabels(plan)},
		Type:       kind, Data: data, Immutable: &immutable,
	}
}

// serviceKey is the Secret's key for the n-th variable of the i-th service.
func serviceKey(i, n int) string { return fmt.Sprintf("service-%d-variable-%d", i, n) }
