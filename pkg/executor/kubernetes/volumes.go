package kubernetes

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/runnerd/runnerd/pkg/job"
)

// Where the agent's files lie in the containers.
const (
	agentPath  = job.AgentPath // in the helper image
	shareDir   = job.PodDir + "/share"
	planDir    = job.PodDir + "/plan"
	controlDir = job.PodDir + "/control"
	memoryDir  = job.PodDir + "/temp"
)

// Names of the pod's volumes.
const (
	volumeShare      = "runnerd-share"
	volumeBuilds     = "runnerd-builds"
	volumeMemory     = "runnerd-temp"
	volumeControl    = "runnerd-control"
	volumeHelperPlan = "runnerd-helper-plan"
	volumeBuildPlan  = "runnerd-build-plan"
)

// volumes are runnerd's own in the pod. Helper and build each see their part of the
// plan only: the helper's holds upload URLs and the git password.
func volumes(secret string, plan *job.Plan) []corev1.Volume {
	return []corev1.Volume{
		{Name: volumeShare, VolumeSource: emptyDir()},
		{Name: volumeMemory, VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{
			Medium: corev1.StorageMediumMemory, SizeLimit: memorySize(plan),
		}}},
		{Name: volumeControl, VolumeSource: corev1.VolumeSource{DownwardAPI: &corev1.DownwardAPIVolumeSource{
			Items: controlFiles(plan),
		}}},
		planVolume(volumeHelperPlan, secret, job.HelperPlanFile),
		planVolume(volumeBuildPlan, secret, job.BuildPlanFile),
	}
}

func emptyDir() corev1.VolumeSource {
	return corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}
}

func controlFiles(plan *job.Plan) []corev1.DownwardAPIVolumeFile {
	files := []corev1.DownwardAPIVolumeFile{
		annotationFile("signal", annotationSignal),
		annotationFile("resend", annotationResend),
	}
	if plan.Helper.Held {
		files = append(files, annotationFile("go", annotationGo))
	}
	return files
}

// memorySize bounds the volume of file variables and GITLAB_ENV: what the job
// brings along, and room for what its scripts add.
func memorySize(plan *job.Plan) *resource.Quantity {
	size := int64(64 << 20)
	for _, v := range plan.Helper.Variables {
		if v.File {
			size += int64(len(v.Value))
		}
	}
	return resource.NewQuantity(size, resource.BinarySI)
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
