package kubernetes

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// What a pod has where neither config nor job say anything.

// little is requested for a container: without any request a pod is the first that
// a node without memory evicts, and the scheduler takes it for nothing. It is little
// because it must fit everywhere.
func little(container string) corev1.ResourceList {
	if container == containerBuild {
		return corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("50m"), corev1.ResourceMemory: resource.MustParse("128Mi")}
	}
	return corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("10m"), corev1.ResourceMemory: resource.MustParse("32Mi")}
}

// requestLittle adds requests where there is neither one nor a limit, which counts
// as a request. The containers of a pod with resources of its own share those.
func requestLittle(spec *corev1.PodSpec) {
	if spec.Resources != nil {
		return
	}
	for i := range spec.Containers {
		c := &spec.Containers[i]
		for name, amount := range little(c.Name) {
			_, requested := c.Resources.Requests[name]
			if _, limited := c.Resources.Limits[name]; !requested && !limited {
				c.Resources.Requests = overlaid(c.Resources.Requests, corev1.ResourceList{name: amount})
			}
		}
	}
}

// mayEscalate is allowPrivilegeEscalation where nobody has set it. The API server
// does not take "no" for a container that has all privileges anyway.
func mayEscalate(sc *corev1.SecurityContext) *bool {
	var added []corev1.Capability
	if sc.Capabilities != nil {
		added = sc.Capabilities.Add
	}
	if sc.Privileged != nil && *sc.Privileged || slices.Contains(added, "SYS_ADMIN") || slices.Contains(added, "CAP_SYS_ADMIN") {
		return nil
	}
	no := false
	return &no
}

// podSecurity is the pod's security context: the operator's, with the runtime's
// seccomp profile where that names none. It does not bind privileged containers.
func podSecurity(base *corev1.PodSecurityContext) *corev1.PodSecurityContext {
	sc := &corev1.PodSecurityContext{}
	if base != nil {
		sc = base.DeepCopy()
	}
	if sc.SeccompProfile == nil {
		sc.SeccompProfile = &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault}
	}
	return sc
}

// automount says whether the pod gets a token for the API server. Who names a
// service account wants it; the account that all pods have is nobody's choice.
func (s *settings) automount(account string) *bool {
	if s.AutomountServiceAccountToken != nil || account != "" {
		return s.AutomountServiceAccountToken
	}
	no := false
	return &no
}
