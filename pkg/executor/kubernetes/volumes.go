package kubernetes

import (
	corev1 "k8s.io/api/core/v1"

	"github.com/runnerd/runnerd/pkg/job"
)

// Where the agent's files lie in the containers.
const (
	agentPath  = "/usr/bin/runnerd-agent" // in the helper image
	shareDir   = "/runnerd/share"
	planDir    = "/runnerd/plan"
	controlDir = "/runnerd/control"
)

// Names of the pod's volumes.
const (
	volumeShare      = "runnerd-share"
	volumeBuilds     = "runnerd-builds"
	volumeControl    = "runnerd-control"
	volumeHelperPlan = "runnerd-helper-plan"
	volumeBuildPlan  = "runnerd-build-plan"
)

// volumes are the pod's volumes. Helper and build each see their part of the
// plan only: the helper's holds upload URLs and the git password.
func volumes(secret string) []corev1.Volume {
	empty := corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}
	return []corev1.Volume{
		{Name: volumeShare, VolumeSource: empty},
		{Name: volumeBuilds, VolumeSource: empty},
		{Name: volumeControl, VolumeSource: corev1.VolumeSource{DownwardAPI: &corev1.DownwardAPIVolumeSource{
			Items: []corev1.DownwardAPIVolumeFile{
				annotationFile("signal", annotationSignal),
				annotationFile("resend", annotationResend),
			},
		}}},
		planVolume(volumeHelperPlan, secret, job.HelperPlanFile),
		planVolume(volumeBuildPlan, secret, job.BuildPlanFile),
	}
}

func annotationFile(file, annotation string) corev1.DownwardAPIVolumeFile {
	return corev1.DownwardAPIVolumeFile{
		Path:     file,
		FieldRef: &corev1.ObjectFieldSelector{APIVersion: "v1", FieldPath: "metadata.annotations['" + annotation + "']"},
	}
}

// planVolume holds one key of the Secret. Everybody in the container may read
// it: the build container runs as whatever user its image names.
func planVolume(name, secret, file string) corev1.Volume {
	mode := int32(0o444)
	return corev1.Volume{Name: name, VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{
		SecretName:  secret,
		Items:       []corev1.KeyToPath{{Key: file, Path: file}},
		DefaultMode: &mode,
	}}}
}
