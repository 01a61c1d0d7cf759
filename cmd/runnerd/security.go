package main

import (
	"reflect"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/runnerd/runnerd/pkg/config"
)

func seconds(o config.Optional[int64]) time.Duration {
	return time.Duration(o.Or(0)) * time.Second
}

// podSecurity returns nil when nothing is set.
func podSecurity(c config.PodSecurityContext) *corev1.PodSecurityContext {
	if reflect.ValueOf(c).IsZero() {
		return nil
	}
	return &corev1.PodSecurityContext{
		FSGroup: c.FSGroup.Ptr(), RunAsUser: c.RunAsUser.Ptr(), RunAsGroup: c.RunAsGroup.Ptr(), RunAsNonRoot: c.RunAsNonRoot.Ptr(),
		SupplementalGroups: c.SupplementalGroups, SELinuxOptions: selinux(c.SELinuxType),
		SeccompProfile: seccomp(c.SeccompProfile), AppArmorProfile: appArmor(c.AppArmorProfile),
	}
}

// containerSecurity returns nil when nothing is set.
func containerSecurity(c config.ContainerSecurityContext) *corev1.SecurityContext {
	if reflect.ValueOf(c).IsZero() {
		return nil
	}
	out := &corev1.SecurityContext{
		Privileged: c.Privileged.Ptr(), RunAsUser: c.RunAsUser.Ptr(), RunAsGroup: c.RunAsGroup.Ptr(),
		RunAsNonRoot: c.RunAsNonRoot.Ptr(), ReadOnlyRootFilesystem: c.ReadOnlyRootFilesystem.Ptr(),
		AllowPrivilegeEscalation: c.AllowPrivilegeEscalation.Ptr(), SELinuxOptions: selinux(c.SELinuxType),
		SeccompProfile: seccomp(c.SeccompProfile), AppArmorProfile: appArmor(c.AppArmorProfile),
	}
	if len(c.Capabilities.Add)+len(c.Capabilities.Drop) > 0 {
		out.Capabilities = &corev1.Capabilities{Add: capabilities(c.Capabilities.Add), Drop: capabilities(c.Capabilities.Drop)}
	}
	if c.ProcMount != "" {
		mount := corev1.ProcMountType(c.ProcMount)
		out.ProcMount = &mount
	}
	return out
}

func capabilities(names []string) []corev1.Capability {
	var out []corev1.Capability
	for _, n := range names {
		out = append(out, corev1.Capability(n))
	}
	return out
}

func selinux(kind string) *corev1.SELinuxOptions {
	if kind == "" {
		return nil
	}
	return &corev1.SELinuxOptions{Type: kind}
}

func seccomp(p config.Profile) *corev1.SeccompProfile {
	if p.Type == "" {
		return nil
	}
	out := &corev1.SeccompProfile{Type: corev1.SeccompProfileType(p.Type)}
	if p.LocalhostProfile != "" {
		out.LocalhostProfile = &p.LocalhostProfile
	}
	return out
}

func appArmor(p config.Profile) *corev1.AppArmorProfile {
	if p.Type == "" {
		return nil
	}
	out := &corev1.AppArmorProfile{Type: corev1.AppArmorProfileType(p.Type)}
	if p.LocalhostProfile != "" {
		out.LocalhostProfile = &p.LocalhostProfile
	}
	return out
}
