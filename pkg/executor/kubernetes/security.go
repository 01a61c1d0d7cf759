package kubernetes

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/runnerd/runnerd/pkg/job"
)

// security returns a container's security context: base, the operator's table
// for this kind of container, filled up from the general keys.
func (s *settings) security(base *corev1.SecurityContext, privileged *bool) *corev1.SecurityContext {
	sc := &corev1.SecurityContext{}
	if base != nil {
		sc = base.DeepCopy()
	}
	if sc.Privileged == nil {
		sc.Privileged = privileged
	}
	if sc.AllowPrivilegeEscalation == nil {
		sc.AllowPrivilegeEscalation = s.AllowPrivilegeEscalation
	}
	if sc.Capabilities == nil {
		sc.Capabilities = capabilities(s.CapAdd, s.CapDrop)
	}
	if sc.AllowPrivilegeEscalation == nil {
		sc.AllowPrivilegeEscalation = mayEscalate(sc)
	}
	return sc
}

// capabilities drops NET_RAW unless it is asked for: with it a job can forge
// other pods' packets.
func capabilities(add, drop []string) *corev1.Capabilities {
	var c corev1.Capabilities
	for _, name := range append([]string{"NET_RAW"}, drop...) {
		if capability := corev1.Capability(name); !slices.Contains(add, name) && !slices.Contains(c.Drop, capability) {
			c.Drop = append(c.Drop, capability)
		}
	}
	for _, name := range add {
		if capability := corev1.Capability(name); !slices.Contains(c.Add, capability) {
			c.Add = append(c.Add, capability)
		}
	}
	return &c
}

// runAs sets the user that the job asks for, "uid" or "uid:gid".
func runAs(sc *corev1.SecurityContext, user string) error {
	if user == "" {
		return nil
	}
	uid, gid, hasGroup := strings.Cut(user, ":")
	fields := []struct {
		text string
		into **int64
	}{{uid, &sc.RunAsUser}, {gid, &sc.RunAsGroup}}
	if !hasGroup {
		fields = fields[:1]
	}
	for _, f := range fields {
		n, err := strconv.ParseInt(f.text, 10, 64)
		if err != nil || n < 0 {
			return job.Failf(job.RunnerConfigurationError, "user %q of image is not a number or two such as 1000:1000", user)
		}
		*f.into = &n
	}
	return nil
}

// checkPolicies reports the first name that is no pull policy.
func checkPolicies(key string, names []string) error {
	for _, name := range names {
		if _, ok := pullPolicies[name]; !ok {
			return fmt.Errorf("%s: unknown policy %q; use always, if-not-present or never", key, name)
		}
	}
	return nil
}

var pullPolicies = map[string]corev1.PullPolicy{
	"always":         corev1.PullAlways,
	"if-not-present": corev1.PullIfNotPresent,
	"never":          corev1.PullNever,
}
