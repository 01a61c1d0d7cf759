package conformance

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"github.com/runnerd/runnerd/internal/standin"
)

// greeting is an entrypoint that does something and runs its arguments.
var greeting = []string{"sh", "-c", `export GREETING=hello; exec "$@"`, "greeting"}

var images = []Row{
	{
		Name: "image", Spec: "3.8", On: ClusterOnly,
		Behaviour: "The script runs in the job's image.",
		Job:       in("busybox", "test -x /bin/busybox && test ! -e /etc/debian_version && echo busybox"),
		Want:      prints("busybox"),
	},
	{
		Name: "image-variable", Spec: "3.8", On: ClusterOnly,
		Behaviour: "Variables in the image's name are expanded.",
		Job:       standin.JobSpec{Variables: vars("WHICH", "busybox"), Script: []string{"test ! -e /etc/debian_version && echo busybox"}},
		Make: func(w *World, job *standin.JobSpec) {
			job.Image.Name = strings.Replace(w.Image("debian"), "debian", "${WHICH}", 1)
		},
		Want: prints("busybox"),
	},
	{
		Name: "image-user", Spec: "3.8", On: ClusterOnly,
		Behaviour: "The image's own user runs the script, with its home.",
		Job:       in("nonroot", "id -u; echo $HOME"),
		Want:      prints("1000", "/home/ci"),
	},
	{
		Name: "image-user-chosen", Spec: "3.8", On: ClusterOnly,
		Behaviour: "image:kubernetes:user chooses user and group.",
		Job: standin.JobSpec{
			Image:  standin.Image{ExecutorOpts: map[string]any{"kubernetes": map[string]any{"user": "1234:5678"}}},
			Script: []string{"id -u; id -g", "touch made && stat -c %u README.md"},
		},
		Want: prints("1234", "5678", "1234"),
	},
	{
		Name: "image-null", Spec: "3.8", On: ClusterOnly,
		Behaviour: "A job without an image, at a runner without a default, is a configuration error.",
		Job:       standin.JobSpec{Mutate: func(payload map[string]any) { payload["image"] = nil }},
		Want:      refused("runner_configuration_error", "no image"),
	},
	{
		Name: "image-not-found", Spec: "7.3", On: ClusterOnly,
		Behaviour: "An image that is not there is a configuration error that names it.",
		Make: func(w *World, job *standin.JobSpec) {
			job.Image.Name = strings.Replace(w.Image("debian"), "debian", "nosuch", 1)
		},
		Want: refused("runner_configuration_error", "/test/nosuch:1", "not found"),
	},
	{
		Name: "image-name-invalid", Spec: "7.3", On: ClusterOnly,
		Behaviour: "An impossible image name is a configuration error that names it.",
		Job:       standin.JobSpec{Image: standin.Image{Name: "UPPER//case:x:y"}},
		Want:      refused("runner_configuration_error", "UPPER//case:x:y"),
	},
	{
		Name: "image-registry-unreachable", Spec: "7.3", On: ClusterOnly,
		Behaviour: "A registry that cannot be reached is a failure of an external dependency.",
		Job:       standin.JobSpec{Image: standin.Image{Name: "127.0.0.1:1/test/debian:1"}},
		Want:      refused("runner_external_dependency_failure", "127.0.0.1:1/test/debian:1"),
	},
	{
		Name: "image-without-a-shell", Spec: "15", On: ClusterOnly,
		Behaviour: "An image without a shell cannot run scripts; the log says so.",
		Job:       standin.JobSpec{Image: standin.Image{Name: "distroless"}},
		Want:      refused("runner_configuration_error", "shell", "/test/distroless:1"),
	},
	{
		Name: "image-credentials", Spec: "3.11", On: ClusterOnly,
		Behaviour: "The credentials of the payload open a private registry.",
		Job:       standin.JobSpec{},
		Make: func(w *World, job *standin.JobSpec) {
			job.Image.Name = w.Private + "/test/busybox:1"
			job.Credentials = []standin.Credential{{Type: "registry", URL: w.Private, Username: "ci", Password: "registry-secret"}}
		},
		Want: prints("the script ran"),
	},
	{
		Name: "image-docker-auth-config", Spec: "9.4", On: ClusterOnly,
		Behaviour: "DOCKER_AUTH_CONFIG opens a private registry.",
		Make: func(w *World, job *standin.JobSpec) {
			job.Image.Name = w.Private + "/test/busybox:1"
			auth := base64.StdEncoding.EncodeToString([]byte("ci:registry-secret"))
			job.Variables = []standin.Variable{{Key: "DOCKER_AUTH_CONFIG", Value: `{"auths":{"` + w.Private + `":{"auth":"` + auth + `"}}}`}}
		},
		Want: prints("the script ran"),
	},
	{
		Name: "entrypoint-replaced", Spec: "15", On: ClusterOnly,
		Behaviour: "An entrypoint is replaced by the shell.",
		Job:       standin.JobSpec{Image: standin.Image{Entrypoint: greeting}, Script: []string{`echo "[$GREETING]"`}},
		Want:      prints("[]"),
	},
	{
		Name: "entrypoint-honoured", Spec: "9.6", On: ClusterOnly,
		Behaviour: "FF_KUBERNETES_HONOR_ENTRYPOINT runs it, and the script behind it.",
		Job: standin.JobSpec{
			Image: standin.Image{Entrypoint: greeting}, Variables: vars("FF_KUBERNETES_HONOR_ENTRYPOINT", "true"), Script: []string{`echo "[$GREETING]"`},
		},
		Want: prints("[hello]"),
	},
	{
		Name: "image-credentials-missing", Spec: "7.3", On: ClusterOnly,
		Behaviour: "Without credentials a private image is a configuration error.",
		Make:      func(w *World, job *standin.JobSpec) { job.Image.Name = w.Private + "/test/debian:1" },
		Want:      refused("runner_configuration_error", "/test/debian:1"),
	},
	{
		Name: "pull-policy-never", Spec: "3.8", On: ClusterOnly,
		Behaviour: "pull_policy: never does not pull, and fails at once when the node does not have the image.",
		Job:       standin.JobSpec{Image: standin.Image{PullPolicy: []string{"never"}}},
		Make: func(w *World, job *standin.JobSpec) {
			job.Image.Name = strings.Replace(w.Image("debian"), "debian", "absent", 1)
		},
		Want: refused("runner_system_failure", "pull policy is never"),
	},
	{
		Name: "pull-policy-list", Spec: "15", On: ClusterOnly,
		Behaviour: "Where one pull policy fails, the next of the list is tried.",
		Job:       standin.JobSpec{Image: standin.Image{PullPolicy: []string{"never", "always"}}},
		Make: func(w *World, job *standin.JobSpec) {
			// A private image is on no node under credentials of its own job.
			job.Image.Name = w.Private + "/test/sh:1"
			job.Credentials = []standin.Credential{{Type: "registry", URL: w.Private, Username: "ci", Password: "registry-secret"}}
		},
		Want: prints("the script ran"),
	},
	{
		Name: "pull-policy-unknown", Spec: "3.8", On: ClusterOnly,
		Behaviour: "A pull policy that does not exist is a configuration error.",
		Job:       standin.JobSpec{Image: standin.Image{PullPolicy: []string{"sometimes"}}},
		Want:      refused("runner_configuration_error", "sometimes"),
	},
	{
		Name: "pod-metadata", Spec: "15", On: ClusterOnly,
		Behaviour: "The pod's labels and annotations name project and job.",
		Job:       script("true"),
		Want: Want{Check: func(w *World, j *standin.Job) error {
			pod, err := w.Pod(j)
			if err != nil {
				return err
			}
			var errs []error
			for key, want := range map[string]string{
				"project.runner.gitlab.com/id": fmt.Sprint(j.ProjectID()), "project.runner.gitlab.com/name": "hello", "project.runner.gitlab.com/namespace": "conformance",
			} {
				if pod.Labels[key] != want {
					errs = append(errs, fmt.Errorf("label %s is %q, want %q", key, pod.Labels[key], want))
				}
			}
			for key, want := range map[string]string{
				"job.runner.gitlab.com/id": fmt.Sprint(j.ID()), "job.runner.gitlab.com/name": "pod-metadata", "job.runner.gitlab.com/ref": "main",
			} {
				if pod.Annotations[key] != want {
					errs = append(errs, fmt.Errorf("annotation %s is %q, want %q", key, pod.Annotations[key], want))
				}
			}
			return errors.Join(errs...)
		}},
	},
}
