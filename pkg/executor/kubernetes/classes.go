package kubernetes

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
)

// classes translates the resource classes: each is the build container's own
// resources with the class's in place of those that it sets.
func classes(build corev1.ResourceRequirements, lists map[string]ResourceList) (map[string]corev1.ResourceRequirements, error) {
	out := make(map[string]corev1.ResourceRequirements, len(lists))
	var problems []error
	for _, name := range slices.Sorted(maps.Keys(lists)) {
		own, err := requirements(fmt.Sprintf("resource class %q: ", name), lists[name])
		if err != nil {
			problems = append(problems, err)
			continue
		}
		own.Requests = overlaid(build.Requests, own.Requests)
		own.Limits = overlaid(build.Limits, own.Limits)
		problems = append(problems, fits(name, own))
		out[name] = own
	}
	return out, errors.Join(problems...)
}

// fits reports a request above its limit, which may be the build container's:
// the API server would refuse each pod of the class.
func fits(class string, r corev1.ResourceRequirements) error {
	if name, request, limit := exceeding(r); name != "" {
		return fmt.Errorf("resource class %q: it requests %s %s, and its limit is %s; set both", class, request.String(), name, limit.String())
	}
	return nil
}
