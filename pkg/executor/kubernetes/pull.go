package kubernetes

import (
	"fmt"
	"slices"
	"strings"

	"github.com/distribution/reference"

	"github.com/runnerd/runnerd/pkg/job"
)

// Texts by which the causes of a failed pull are told apart, in lower case.
// GitLab Runner uses the same, in this order.
var (
	pullNetwork = []string{
		"dial tcp", "connection refused", "no such host", "i/o timeout", "tls handshake",
		"client.timeout exceeded", "request canceled", "connection reset",
	}
	pullMissing = []string{"not found", "manifest unknown"}
	pullDenied  = []string{
		"pull access denied", "access to the resource is denied", "no basic auth credentials",
		"repository does not exist or may require", "unauthorized", "authentication required",
	}
)

// classifyPull says what a kubelet's message about a failed pull means. heals
// says whether the same pull can work a little later.
func classifyPull(message string) (reason job.Reason, heals bool) {
	message = strings.ToLower(message)
	if strings.Contains(message, "invalid reference format") { // said by the runtime, InvalidImageName by the kubelet
		return job.RunnerConfigurationError, false
	}
	among := func(texts []string) bool {
		return slices.ContainsFunc(texts, func(text string) bool { return strings.Contains(message, text) })
	}
	switch {
	case among(pullNetwork):
		return job.ExternalDependencyFailure, true
	case among(pullMissing), among(pullDenied):
		return job.RunnerConfigurationError, false
	}
	return job.ImagePullFailure, true
}

// registryHost is the registry that an image name means.
func registryHost(image string) string {
	named, err := reference.ParseNormalizedNamed(image)
	if err != nil {
		return "unknown registry"
	}
	return reference.Domain(named)
}

// credentialsNote says which credentials a pull from host was made with.
func (e *Executor) credentialsNote(plan *job.Plan, host string) string {
	if e.cfg.UseServiceAccountImagePullSecrets {
		return "the service account's pull secrets were used"
	}
	var used, others []string
	for _, c := range plan.Credentials {
		if credentialHost(c.URL) == host {
			used = append(used, fmt.Sprintf("%s for %s (user %q)", credentialSource(c), c.URL, c.Username))
		} else {
			others = append(others, c.URL)
		}
	}
	if len(e.cfg.ImagePullSecrets) > 0 {
		used = append(used, "image_pull_secrets "+quoted(e.cfg.ImagePullSecrets))
	}
	switch {
	case len(used) > 0:
		return "tried with " + strings.Join(used, " and ")
	case len(others) > 0:
		return fmt.Sprintf("tried without credentials: the job has some for %s only", strings.Join(others, ", "))
	}
	return "tried without credentials: the job has none"
}

// credentialSource says where a job's credentials come from.
func credentialSource(c job.Credential) string {
	if c.Variable != "" {
		return "the credentials of " + c.Variable
	}
	return "the job's credentials"
}

// credentialHost is the registry that a credential's URL means.
func credentialHost(url string) string {
	url = strings.TrimPrefix(strings.TrimPrefix(url, "https://"), "http://")
	host, _, _ := strings.Cut(url, "/")
	if host == "index.docker.io" || host == "registry-1.docker.io" {
		return "docker.io"
	}
	return host
}
