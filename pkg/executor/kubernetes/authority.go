package kubernetes

import (
	corev1 "k8s.io/api/core/v1"

	"github.com/runnerd/runnerd/pkg/job"
)

// An Authority says where the certificate authorities are that a job's programs are
// to trust: as text, or in an object of the pod's namespace. At most one is set.
type Authority struct {
	PEM               string
	ConfigMap, Secret string
	Key               string // of the object
}

// Where every container of the pod has them.
const (
	authorityKey    = "ca.crt"
	authorityDir    = job.PodDir + "/ca"
	volumeAuthority = "runnerd-ca"
)

func (a Authority) set() bool { return a.PEM+a.ConfigMap+a.Secret != "" }

// file is the path in the pod; "" when there is none.
func (a Authority) file() string {
	if !a.set() {
		return ""
	}
	return authorityDir + "/" + authorityKey
}

// volume holds the one file. own is the job's Secret, which has the text. Of an
// object no more than the one key is shown: beside it may be the authority's own key.
func (a Authority) volume(own string) corev1.Volume {
	mode := int32(0o444)
	v := corev1.Volume{Name: volumeAuthority}
	switch {
	case a.ConfigMap != "":
		v.ConfigMap = &corev1.ConfigMapVolumeSource{
			LocalObjectReference: corev1.LocalObjectReference{Name: a.ConfigMap},
			Items:                []corev1.KeyToPath{{Key: a.Key, Path: authorityKey}}, DefaultMode: &mode,
		}
	case a.Secret != "":
		v.Secret = &corev1.SecretVolumeSource{
			SecretName: a.Secret, Items: []corev1.KeyToPath{{Key: a.Key, Path: authorityKey}}, DefaultMode: &mode,
		}
	default:
		return planVolume(volumeAuthority, own, authorityKey)
	}
	return v
}
