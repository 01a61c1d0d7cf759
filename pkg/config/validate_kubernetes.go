package config

import (
	"net"
	"path"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/resource"
)

func (k *Kubernetes) validate(r *report, at string) {
	if k.Host != "" {
		validateHost(r, at+".host", k.Host)
	}
	if (k.CertFile == "") != (k.KeyFile == "") {
		r.problem(at+".cert_file", "cert_file and key_file belong together; write both or neither")
	}
	if k.Namespace == "" {
		r.warn(at+".namespace", "empty; job pods run in the namespace %q. Name another one, jobs need no access to that", defaultNamespace)
	}
	if strings.Contains(k.Namespace, "$") {
		r.problem(at+".namespace", "%q: variables are not replaced here, because the namespace is watched from the daemon's start; write a name, and let rules of [runners.policy] or overwrite_namespaces choose others", k.Namespace)
	} else {
		dnsLabel(r, at+".namespace", k.Namespace)
	}
	if strings.Contains(k.HelperImage, "gitlab-runner-helper") {
		r.warn(at+".helper_image", "looks like GitLab Runner's, which has no runnerd-agent: every job would fail; take the key out, or name a copy of runnerd-helper")
	}
	atLeast(r, at+".pause_on_unschedulable", int64(k.PauseOnUnschedulable), 0)
	atLeast(r, at+".keep_failed_pods_max", int64(k.KeepFailedPodsMax), 0)
	if k.KeepFailedPods.Duration() < 0 || k.KeepFailedPods.Duration() > 24*time.Hour {
		r.problem(at+".keep_failed_pods", "%s: use a duration from 0 to 24h", k.KeepFailedPods.Duration())
	}
	atLeast(r, at+".cleanup_grace_period_seconds", k.CleanupGracePeriod.Value, 0)
	atLeast(r, at+".pod_termination_grace_period_seconds", k.TerminationGracePeriod.Value, 0)
	k.validateImages(r, at)
	k.validateOverwrites(r, at)
	for key, q := range taggedStrings(reflect.ValueOf(k).Elem(), "Resources") {
		quantity(r, at+"."+key, q)
	}
	for name, class := range k.ResourceClasses {
		for key, q := range taggedStrings(reflect.ValueOf(&class).Elem(), "") {
			quantity(r, joinPath(at+".resource_classes", name)+"."+key, q)
		}
	}
	k.validateScheduling(r, at)
	k.validateNetwork(r, at)
	k.PodSecurityContext.SeccompProfile.validate(r, at+".pod_security_context.seccomp_profile")
	k.PodSecurityContext.AppArmorProfile.validate(r, at+".pod_security_context.app_armor_profile")
	k.BuildSecurityContext.validate(r, at+".build_container_security_context")
	k.HelperSecurityContext.validate(r, at+".helper_container_security_context")
	k.ServiceSecurityContext.validate(r, at+".service_container_security_context")
	k.validatePrivileges(r, at)
	k.CABundle.validate(r, at+".ca_bundle")
	k.Proxy.validate(r, at)
}

func (k *Kubernetes) validateImages(r *report, at string) {
	for i, p := range k.PullPolicy {
		pullPolicy(r, listed(r, at+".pull_policy", i), p)
	}
	for i, p := range k.AllowedPullPolicies {
		pullPolicy(r, elementPath(at+".allowed_pull_policies", i), p)
	}
	numbers(r, at+".allowed_users", k.AllowedUsers)
	numbers(r, at+".allowed_groups", k.AllowedGroups)
	for i, s := range k.Services {
		service := elementPath(at+".services", i)
		if s.Name == "" {
			r.problem(service+".name", "missing; name the service's image")
		}
		validateEnvironment(r, service+".environment", s.Environment)
	}
}

func (k *Kubernetes) validateOverwrites(r *report, at string) {
	for i, name := range k.OverwriteNamespaces {
		dnsLabel(r, elementPath(at+".overwrite_namespaces", i), name)
	}
	if len(k.OverwriteNamespaces) > 0 && k.NamespaceOverwriteAllowed == "" {
		r.problem(at+".overwrite_namespaces", "no job can choose one of them: namespace_overwrite_allowed is empty. Write a regular expression there that matches what a job may choose, such as \".*\"")
	}
	if len(k.OverwriteNamespaces) == 0 && k.NamespaceOverwriteAllowed != "" {
		r.warn(at+".namespace_overwrite_allowed", "lets a job choose none but namespace, until overwrite_namespaces lists the others: runnerd watches them from its start")
	}
	for key, expr := range k.Overwritable() {
		if _, err := regexp.Compile(expr); err != nil {
			r.problem(at+"."+key+"_overwrite_allowed", "%q is no regular expression (%s); write one as Go does", expr, regexpCause(err))
		}
	}
}

func (k *Kubernetes) validateScheduling(r *report, at string) {
	for key, effect := range k.NodeTolerations {
		oneOf(r, joinPath(at+".node_tolerations", key), effect, "NoSchedule", "PreferNoSchedule", "NoExecute")
	}
	for i, t := range k.Affinity.Node.Preferred {
		weight(r, elementPath(at+".affinity.node_affinity.preferred_during_scheduling_ignored_during_execution", i), t.Weight)
	}
	for name, a := range map[string]PodAffinity{"pod_affinity": k.Affinity.Pod, "pod_anti_affinity": k.Affinity.AntiPod} {
		for i, t := range a.Preferred {
			weight(r, elementPath(at+".affinity."+name+".preferred_during_scheduling_ignored_during_execution", i), t.Weight)
		}
	}
}

func (k *Kubernetes) validateNetwork(r *report, at string) {
	oneOf(r, at+".dns_policy", k.DNSPolicy, "none", "default", "cluster-first", "cluster-first-with-host-net")
	if k.DNSPolicy == "none" && len(k.DNSConfig.Nameservers) == 0 {
		r.problem(at+".dns_policy", `"none" needs a name server; write [runners.kubernetes.dns_config] with nameservers`)
	}
	for i, a := range k.HostAliases {
		alias := elementPath(at+".host_aliases", i)
		if net.ParseIP(a.IP) == nil {
			r.problem(alias+".ip", "%q is no IP address; write one such as \"10.0.0.1\"", a.IP)
		}
		if len(a.Hostnames) == 0 {
			r.problem(alias+".hostnames", "missing; write the names that the address has")
		}
	}
}

func (s *ContainerSecurityContext) validate(r *report, at string) {
	oneOf(r, at+".proc_mount", s.ProcMount, "Default", "Unmasked")
	s.SeccompProfile.validate(r, at+".seccomp_profile")
	s.AppArmorProfile.validate(r, at+".app_armor_profile")
}

func (p *Profile) validate(r *report, at string) {
	oneOf(r, at+".type", p.Type, "RuntimeDefault", "Unconfined", "Localhost")
	switch {
	case p.Type == "Localhost" && p.LocalhostProfile == "":
		r.problem(at+".localhost_profile", `missing; type "Localhost" needs the name of the profile`)
	case p.Type != "Localhost" && p.LocalhostProfile != "":
		r.problem(at+".localhost_profile", `goes with type = "Localhost" only; set that or take the profile out`)
	}
}

// validateHost checks the API server's address. GitLab Runner takes one
// without a scheme too.
func validateHost(r *report, at, host string) {
	if strings.Contains(host, "://") && !strings.HasPrefix(host, "https://") && !strings.HasPrefix(host, "http://") {
		r.problem(at, "%q is no address; write that of the API server, such as \"https://10.0.0.1:6443\"", host)
	}
}

func pullPolicy(r *report, at, p string) {
	if p == "" {
		r.problem(at, `empty; write "always", "if-not-present" or "never"`)
	}
	oneOf(r, at, p, "always", "if-not-present", "never")
}

func numbers(r *report, at string, list []string) {
	for i, n := range list {
		if _, err := strconv.ParseUint(n, 10, 32); err != nil {
			r.problem(elementPath(at, i), "%q is no id; write a number in quotes, such as \"1000\"", n)
		}
	}
}

func quantity(r *report, at, q string) {
	if q == "" {
		return
	}
	if parsed, err := resource.ParseQuantity(q); err != nil || parsed.Sign() < 0 {
		r.problem(at, "%q is no quantity; write one such as \"500m\" (CPU) or \"2Gi\" (memory)", q)
	}
}

func weight(r *report, at string, w int64) {
	if w < 1 || w > 100 {
		r.problem(at+".weight", "%d; write a number from 1 to 100", w)
	}
}

func absolute(r *report, at, p string) {
	switch {
	case p == "":
		r.problem(at, "missing; write an absolute path")
	case !path.IsAbs(p):
		r.problem(at, "%q is no absolute path; write one that starts with \"/\"", p)
	}
}

// listed returns the path of element i of a list that may be written as one
// string as well.
func listed(r *report, at string, i int) string {
	if p := elementPath(at, i); r.index.has(p) {
		return p
	}
	return at
}

// Overwritable returns the regular expressions that say what a job's variables
// may put in the place of a setting, by the setting's key.
func (k *Kubernetes) Overwritable() map[string]string {
	return withSuffix(taggedStrings(reflect.ValueOf(k).Elem(), ""), "_overwrite_allowed")
}

// OverwritableTo returns the most that a job's variables may put in the place of
// a quantity, by the quantity's key.
func (k *Kubernetes) OverwritableTo() map[string]string {
	return withSuffix(taggedStrings(reflect.ValueOf(k).Elem(), "Resources"), "_overwrite_max_allowed")
}

// withSuffix returns the entries whose key ends in suffix, without it, that are
// not empty.
func withSuffix(entries map[string]string, suffix string) map[string]string {
	found := map[string]string{}
	for key, value := range entries {
		if name, ok := strings.CutSuffix(key, suffix); ok && value != "" {
			found[name] = value
		}
	}
	return found
}

// taggedStrings returns the string fields of out by key: all that are there
// themselves, or all below fields whose type's name ends in below.
func taggedStrings(out reflect.Value, below string) map[string]string {
	found := map[string]string{}
	for i := range out.NumField() {
		name, option, _ := strings.Cut(out.Type().Field(i).Tag.Get("toml"), ",")
		field := out.Field(i)
		switch {
		case below == "" && field.Type() == reflect.TypeFor[string]():
			found[name] = field.String()
		case below != "" && option == "prefix" && strings.HasSuffix(field.Type().Name(), below):
			for key, value := range taggedStrings(field, "") {
				found[name+key] = value
			}
		}
	}
	return found
}

// regexpCause returns what is wrong without the words around it.
func regexpCause(err error) string {
	return strings.TrimPrefix(err.Error(), "error parsing regexp: ")
}
