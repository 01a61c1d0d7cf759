package main

import (
	"cmp"
	"maps"
	"path"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/runnerd/runnerd/pkg/config"
	"github.com/runnerd/runnerd/pkg/executor/kubernetes"
)

// podVolumes translates [runners.kubernetes.volumes], which has been checked.
func podVolumes(v config.Volumes) []kubernetes.Volume {
	var out []kubernetes.Volume
	add := func(m config.Mount, readOnly bool, propagation string, source corev1.VolumeSource) {
		out = append(out, kubernetes.Volume{
			Name: m.Name, Path: m.MountPath, SubPath: m.SubPath, ReadOnly: readOnly,
			Propagation: corev1.MountPropagationMode(propagation), Source: source,
		})
	}
	for _, vol := range v.HostPaths {
		add(vol.Mount, vol.ReadOnly, vol.MountPropagation, corev1.VolumeSource{
			HostPath: &corev1.HostPathVolumeSource{Path: cmp.Or(vol.HostPath, vol.MountPath)},
		})
	}
	for _, vol := range v.PVCs {
		add(vol.Mount, vol.ReadOnly, vol.MountPropagation, corev1.VolumeSource{
			PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: vol.Name},
		})
	}
	for _, vol := range v.ConfigMaps {
		add(vol.Mount, vol.ReadOnly, "", corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{
			LocalObjectReference: corev1.LocalObjectReference{Name: vol.Name}, Items: keysToPaths(vol.Items),
		}})
	}
	for _, vol := range v.Secrets {
		add(vol.Mount, vol.ReadOnly, "", corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{
			SecretName: vol.Name, Items: keysToPaths(vol.Items),
		}})
	}
	for _, vol := range v.EmptyDirs {
		source := &corev1.EmptyDirVolumeSource{Medium: corev1.StorageMedium(vol.Medium)}
		if size, err := resource.ParseQuantity(vol.SizeLimit); err == nil {
			source.SizeLimit = &size
		}
		add(vol.Mount, false, vol.MountPropagation, corev1.VolumeSource{EmptyDir: source})
	}
	for _, vol := range v.CSIs {
		source := &corev1.CSIVolumeSource{Driver: vol.Driver, ReadOnly: &vol.ReadOnly, VolumeAttributes: vol.VolumeAttributes}
		if vol.FSType != "" {
			source.FSType = &vol.FSType
		}
		add(vol.Mount, vol.ReadOnly, "", corev1.VolumeSource{CSI: source})
	}
	for _, vol := range v.NFSs {
		add(vol.Mount, vol.ReadOnly, "", corev1.VolumeSource{
			NFS: &corev1.NFSVolumeSource{Server: vol.Server, Path: vol.Path, ReadOnly: vol.ReadOnly},
		})
	}
	return out
}

func keysToPaths(items map[string]string) []corev1.KeyToPath {
	var out []corev1.KeyToPath
	for _, key := range slices.Sorted(maps.Keys(items)) {
		out = append(out, corev1.KeyToPath{Key: key, Path: items[key]})
	}
	return out
}

// sharesBuildsDir reports whether jobs work in a volume that others see as well: one
// that is mounted where they work, and does not go with the pod.
func sharesBuildsDir(r config.Runner) bool {
	return slices.ContainsFunc(podVolumes(r.Kubernetes.Volumes), func(v kubernetes.Volume) bool {
		return !strings.Contains(v.Path, "$") && path.Clean(v.Path) == path.Clean(r.BuildsDir) && v.Source.EmptyDir == nil
	})
}
