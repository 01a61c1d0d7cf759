package kubernetes

import (
	"fmt"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// quantities are what can be said of one container's resources. A key has a
// prefix in config.toml, except for the build container.
var quantities = []struct {
	key   string
	name  corev1.ResourceName
	limit bool
	of    func(*ResourceList) string
}{
	{"cpu_request", corev1.ResourceCPU, false, func(l *ResourceList) string { return l.CPURequest }},
	{"cpu_limit", corev1.ResourceCPU, true, func(l *ResourceList) string { return l.CPULimit }},
	{"memory_request", corev1.ResourceMemory, false, func(l *ResourceList) string { return l.MemoryRequest }},
	{"memory_limit", corev1.ResourceMemory, true, func(l *ResourceList) string { return l.MemoryLimit }},
	{"ephemeral_storage_request", corev1.ResourceEphemeralStorage, false, func(l *ResourceList) string { return l.EphemeralStorageRequest }},
	{"ephemeral_storage_limit", corev1.ResourceEphemeralStorage, true, func(l *ResourceList) string { return l.EphemeralStorageLimit }},
}

const (
	helperPrefix  = "helper_"
	servicePrefix = "service_"
	podPrefix     = "pod_"
)

// requirements translates list; prefix is that of its keys in config.toml.
func requirements(prefix string, list ResourceList) (corev1.ResourceRequirements, error) {
	var out corev1.ResourceRequirements
	for _, q := range quantities {
		text := q.of(&list)
		if text == "" {
			continue
		}
		amount, err := resource.ParseQuantity(text)
		if err != nil {
			return out, fmt.Errorf("%s%s: %q: not a quantity such as 500m or 1Gi", prefix, q.key, text)
		}
		into := &out.Requests
		if q.limit {
			into = &out.Limits
		}
		if *into == nil {
			*into = corev1.ResourceList{}
		}
		(*into)[q.name] = amount
	}
	return out, nil
}

// exceeding returns the first resource that is requested above its limit; ""
// for none.
func exceeding(r corev1.ResourceRequirements) (name corev1.ResourceName, request, limit resource.Quantity) {
	for _, name := range slices.Sorted(maps.Keys(r.Requests)) {
		request := r.Requests[name]
		if limit, ok := r.Limits[name]; ok && request.Cmp(limit) > 0 {
			return name, request, limit
		}
	}
	return "", request, limit
}
