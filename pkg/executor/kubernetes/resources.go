package kubernetes

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// requirements translates list; prefix is that of its keys in config.toml.
func requirements(prefix string, list ResourceList) (corev1.ResourceRequirements, error) {
	var out corev1.ResourceRequirements
	entries := []struct {
		key, value string
		name       corev1.ResourceName
		into       *corev1.ResourceList
	}{
		{"cpu_request", list.CPURequest, corev1.ResourceCPU, &out.Requests},
		{"cpu_limit", list.CPULimit, corev1.ResourceCPU, &out.Limits},
		{"memory_request", list.MemoryRequest, corev1.ResourceMemory, &out.Requests},
		{"memory_limit", list.MemoryLimit, corev1.ResourceMemory, &out.Limits},
		{"ephemeral_storage_request", list.EphemeralStorageRequest, corev1.ResourceEphemeralStorage, &out.Requests},
		{"ephemeral_storage_limit", list.EphemeralStorageLimit, corev1.ResourceEphemeralStorage, &out.Limits},
	}
	for _, e := range entries {
		if e.value == "" {
			continue
		}
		q, err := resource.ParseQuantity(e.value)
		if err != nil {
			return out, fmt.Errorf("%s%s: %q: not a quantity such as 500m or 1Gi", prefix, e.key, e.value)
		}
		if *e.into == nil {
			*e.into = corev1.ResourceList{}
		}
		(*e.into)[e.name] = q
	}
	return out, nil
}
