package kubernetes

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/runnerd/runnerd/pkg/job"
)

// A trouble is something that keeps a container from starting.
type trouble struct {
	container string
	image     string
	state     string // Kubernetes' reason, for example ErrImagePull
	message   string // the kubelet's
	reason    job.Reason
	pull      bool // the image could not be had: another pull policy may help
	heals     bool // may go away by itself within pullBudget
}

// findTrouble returns what keeps the pod from starting; troubles that cannot
// heal come first. nil means that nothing is known to be wrong.
func findTrouble(pod *corev1.Pod) *trouble {
	var healing *trouble
	for _, c := range pod.Status.ContainerStatuses {
		t := containerTrouble(c)
		switch {
		case t == nil:
		case !t.heals:
			return t
		case healing == nil:
			healing = t
		}
	}
	return healing
}

func containerTrouble(c corev1.ContainerStatus) *trouble {
	t := &trouble{container: c.Name, image: c.Image}
	switch {
	case c.State.Waiting != nil:
		t.state, t.message = c.State.Waiting.Reason, c.State.Waiting.Message
	case c.State.Terminated != nil:
		t.state, t.message = c.State.Terminated.Reason, c.State.Terminated.Message
		if t.state != "StartError" && t.state != "ContainerCannotRun" {
			return nil
		}
	}
	if !t.classify() {
		return nil
	}
	return t
}

// classify fills in what the kubelet's reason means; false when it is none that
// keeps a container from starting.
func (t *trouble) classify() bool {
	switch t.state {
	case "ErrImagePull", "ImagePullBackOff":
		t.pull = true
		t.reason, t.heals = classifyPull(t.message)
	case "RegistryUnavailable":
		t.pull, t.heals, t.reason = true, true, job.ExternalDependencyFailure
	case "ImageInspectError": // the node's runtime does not say whether it has the image
		t.pull, t.reason, t.heals = true, job.ImagePullFailure, passing(t.message)
	case "ErrImageNeverPull", "SignatureValidationFailed":
		t.pull, t.reason = true, job.ImagePullFailure
	case "InvalidImageName", "CrashLoopBackOff":
		t.reason = job.RunnerConfigurationError
	case "CreateContainerConfigError":
		t.reason, t.heals = job.RunnerConfigurationError, passing(t.message)
	case "CreateContainerError", "RunContainerError": // the kubelet tries again
		t.reason, t.heals = job.RunnerSystemFailure, passing(t.message) || !refused(t.message)
		t.blameImage()
	case "StartError", "ContainerCannotRun":
		t.reason, t.heals = job.RunnerSystemFailure, passing(t.message)
		t.blameImage()
	case "PostStartHookError", "PreCreateHookError", "PreStartHookError":
		t.reason = job.RunnerConfigurationError
	default:
		return false
	}
	return true
}

// passing reports whether the kubelet's trouble is with the node or the API
// server at this moment, not with the pod.
func passing(message string) bool {
	message = strings.ToLower(message)
	for _, text := range []string{
		"failed to sync", "timed out", "deadline exceeded", "is reserved for",
		// The runtime has been restarted:
		"connection refused", "connection reset", "connection error", "transport is closing", "error reading from server", "unavailable",
	} {
		if strings.Contains(message, text) {
			return true
		}
	}
	return false
}

// refused reports whether the node's runtime says something of the container that
// it was to start. Anything else is said of the runtime, such as "error reading from
// server: EOF" when that has just been restarted.
func refused(message string) bool {
	message = strings.ToLower(message)
	for _, text := range []string{"oci runtime", "runc", "failed to generate", "no command specified"} {
		if strings.Contains(message, text) {
			return true
		}
	}
	return false
}

// brokeAtStart reports whether a container has ended without ever having run, and
// the runtime blames itself for that and not the container. Of a second one, which a
// kubelet starts that has lost track of the first, it says nothing: the first may run.
func (s podState) brokeAtStart(container string) bool {
	c, t := s.status(container), s.terminated(container)
	return t != nil && c.RestartCount == 0 && t.Reason == "StartError" && !refused(t.Message) && !wrongImage(t.Message)
}

// blameImage makes a trouble that the image is to blame for one that only another
// image ends.
func (t *trouble) blameImage() {
	if wrongImage(t.message) {
		t.reason, t.heals = job.RunnerConfigurationError, false
	}
}

// wrongImage reports whether a container could not start because of what is,
// or is not, in its image.
func wrongImage(message string) bool { return noProgram(message) || wrongArchitecture(message) }

func noProgram(message string) bool {
	return strings.Contains(message, "executable file not found") || strings.Contains(message, "executable file `") ||
		strings.Contains(message, "exec: ") && strings.Contains(message, "no such file or directory")
}

func wrongArchitecture(message string) bool { return strings.Contains(message, "exec format error") }

// failure says it to the job's author.
func (e *Executor) failure(plan *job.Plan, t *trouble) *job.Failure {
	host, image := registryHost(t.image), t.image
	if written, ok := imageOf(plan, t.container); ok && written.Pinned != "" {
		image = describe(written)
	}
	switch {
	case t.state == "ErrImageNeverPull":
		return job.Failf(t.reason, "image %q of container %s is not on the node, and its pull policy is never; "+
			"allow if-not-present or put the image on the node", image, t.container)
	case t.state == "InvalidImageName":
		return job.Failf(t.reason, "image %q of container %s is not a valid image name: %s", image, t.container, t.message)
	case t.pull && t.heals:
		return job.Failf(t.reason, "image %q of container %s could not be pulled from %s within %v: %s (%s)",
			image, t.container, host, pullBudget, tidy(t.message), e.credentialsNote(plan, host))
	case t.pull:
		return job.Failf(t.reason, "image %q of container %s cannot be pulled from %s: %s (%s); check the name and who may read it",
			image, t.container, host, tidy(t.message), e.credentialsNote(plan, host))
	case t.container == containerBuild && noProgram(t.message):
		return job.Failf(t.reason, "image %q has no shell: a job's image needs sh (%s)", image, tidy(t.message))
	case t.container == containerHelper && noProgram(t.message):
		return job.Failf(t.reason, "helper_image %q has no %s: use runnerd's helper image of this version (%s)", t.image, agentPath, tidy(t.message))
	case wrongArchitecture(t.message):
		return job.Failf(t.reason, "image %q of container %s is built for another processor than the node's: %s", image, t.container, tidy(t.message))
	case t.heals:
		return job.Failf(t.reason, "container %s (image %q) did not start within %v: %s: %s", t.container, image, pullBudget, t.state, tidy(t.message))
	}
	return job.Failf(t.reason, "container %s (image %q) cannot start: %s: %s", t.container, image, t.state, tidy(t.message))
}

// tidy makes a kubelet's message one line of bearable length.
func tidy(message string) string {
	message = strings.Join(strings.Fields(message), " ")
	if message == "" {
		return "the node gives no cause"
	}
	if most := 600; len(message) > most {
		return fmt.Sprintf("%.*s…", most, message)
	}
	return message
}
