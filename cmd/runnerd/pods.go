package main

import (
	"cmp"
	"maps"
	"net"
	"net/url"
	"os"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/runnerd/runnerd/pkg/config"
	"github.com/runnerd/runnerd/pkg/executor/kubernetes"
)

// helperImage is the published helper image; its version goes with this
// program's.
const helperImage = "ghcr.io/runnerd/runnerd-helper"

// helperImageVariable names another one, for a Deployment: whoever copies the
// images to a registry of their own says so in one place, beside runnerd's.
const helperImageVariable = "RUNNERD_HELPER_IMAGE"

// connection says how the config reaches the API server.
func connection(k config.Kubernetes, build buildInfo) kubernetes.Connection {
	return kubernetes.Connection{
		Host: k.Host, Context: k.Context, BearerToken: k.BearerToken.Reveal(),
		CertFile: k.CertFile, KeyFile: k.KeyFile, CAFile: k.CAFile,
		UserAgent: product + "/" + build.Version,
	}
}

// podConfig translates [runners.kubernetes] for the executor, with what the
// policy's rules may choose.
func podConfig(r config.Runner, build buildInfo) kubernetes.Config {
	k := r.Kubernetes
	c := kubernetes.Config{
		Namespace: k.Namespace, Namespaces: shapedNamespaces(r.Policy), HelperImage: k.HelperImage,
		Classes: resourceClasses(k.ResourceClasses), ReservedHosts: reservedHosts(r),
		PullPolicies: k.PullPolicy, AllowedPullPolicies: k.AllowedPullPolicies,
		ImagePullSecrets: k.ImagePullSecrets, UseServiceAccountImagePullSecrets: k.UseServiceAccountImagePullSecrets,
		ServiceAccount: k.ServiceAccount, AutomountServiceAccountToken: k.AutomountServiceAccountToken.Ptr(),
		Build: resources(k.BuildResources), Helper: resources(k.HelperResources), Service: resources(k.ServiceResources),
		Pod: kubernetes.ResourceList{
			CPURequest: k.PodResources.CPURequest, CPULimit: k.PodResources.CPULimit,
			MemoryRequest: k.PodResources.MemoryRequest, MemoryLimit: k.PodResources.MemoryLimit,
		},
		Privileged: k.Privileged.Ptr(), AllowPrivilegeEscalation: k.AllowPrivilegeEscalation.Ptr(),
		CapAdd: k.CapAdd, CapDrop: k.CapDrop, RuntimeClassName: k.RuntimeClassName,
		PodSecurityContext:     podSecurity(k.PodSecurityContext),
		BuildSecurityContext:   containerSecurity(k.BuildSecurityContext),
		HelperSecurityContext:  containerSecurity(k.HelperSecurityContext),
		ServiceSecurityContext: containerSecurity(k.ServiceSecurityContext),
		NodeSelector:           k.NodeSelector, NodeTolerations: k.NodeTolerations, Affinity: affinity(k.Affinity),
		PriorityClassName: k.PriorityClassName, SchedulerName: k.SchedulerName,
		PodLabels: k.PodLabels, PodAnnotations: k.PodAnnotations, DoNotDisrupt: k.DoNotDisrupt,
		Permissions: kubernetes.Permissions{Patterns: k.Overwritable(), Most: k.OverwritableTo(), Namespaces: k.OverwriteNamespaces},
		Volumes:     podVolumes(k.Volumes),
		Authority:   kubernetes.Authority{PEM: k.CABundle.PEM, ConfigMap: k.CABundle.ConfigMap, Secret: k.CABundle.Secret, Key: k.CABundle.Key},
		DNSPolicy:   k.DNSPolicy, DNSConfig: dnsConfig(k.DNSConfig), HostAliases: hostAliases(k.HostAliases),
		PollTimeout:  k.PollTimeout.Duration(),
		PauseOnQuota: k.PauseOnQuota, PauseOnUnschedulable: k.PauseOnUnschedulable,
		TerminationGracePeriod: seconds(k.TerminationGracePeriod),
		KeepFailedPods:         k.KeepFailedPods.Duration(),
		KeepFailedPodsMax:      k.KeepFailedPodsMax,
		CleanupGracePeriod:     seconds(k.CleanupGracePeriod),
	}
	if c.HelperImage == "" {
		c.HelperImage = cmp.Or(os.Getenv(helperImageVariable), helperImage+":"+build.Version)
	}
	return c
}

// shapedNamespaces are those that rules may put a pod into.
func shapedNamespaces(p config.Policy) []string {
	var names []string
	for _, rule := range p.Rules {
		if rule.Namespace != "" && !slices.Contains(names, rule.Namespace) {
			names = append(names, rule.Namespace)
		}
	}
	return names
}

// reservedHosts are those that the helper talks to: a service of that name would
// get the job's credentials for git, or the URLs of its caches.
func reservedHosts(r config.Runner) []string {
	var hosts []string
	for _, address := range []string{r.URL, r.CloneURL} {
		if u, err := url.Parse(address); err == nil && u.Hostname() != "" {
			hosts = append(hosts, u.Hostname())
		}
	}
	if hasCache(r) {
		host, _, err := net.SplitHostPort(r.Cache.S3.ServerAddress)
		if err != nil {
			host = r.Cache.S3.ServerAddress // it has no port
		}
		hosts = append(hosts, host, r.Cache.S3.BucketName+"."+host)
	}
	return hosts
}

func resourceClasses(classes map[string]config.ResourceClass) map[string]kubernetes.ResourceList {
	out := map[string]kubernetes.ResourceList{}
	for name, c := range classes {
		out[name] = kubernetes.ResourceList(c)
	}
	return out
}

func resources(r config.Resources) kubernetes.ResourceList {
	return kubernetes.ResourceList{
		CPURequest: r.CPURequest, CPULimit: r.CPULimit,
		MemoryRequest: r.MemoryRequest, MemoryLimit: r.MemoryLimit,
		EphemeralStorageRequest: r.EphemeralStorageRequest, EphemeralStorageLimit: r.EphemeralStorageLimit,
	}
}

func dnsConfig(d config.DNSConfig) *corev1.PodDNSConfig {
	if len(d.Nameservers)+len(d.Searches)+len(d.Options) == 0 {
		return nil
	}
	out := &corev1.PodDNSConfig{Nameservers: d.Nameservers, Searches: d.Searches}
	for _, o := range d.Options {
		out.Options = append(out.Options, corev1.PodDNSConfigOption{Name: o.Name, Value: o.Value.Ptr()})
	}
	return out
}

func hostAliases(list []config.HostAlias) []corev1.HostAlias {
	var out []corev1.HostAlias
	for _, a := range list {
		out = append(out, corev1.HostAlias{IP: a.IP, Hostnames: a.Hostnames})
	}
	return out
}

func affinity(a config.Affinity) *corev1.Affinity {
	out := &corev1.Affinity{
		NodeAffinity:    nodeAffinity(a.Node),
		PodAffinity:     podAffinity(a.Pod),
		PodAntiAffinity: antiAffinity(a.AntiPod),
	}
	if out.NodeAffinity == nil && out.PodAffinity == nil && out.PodAntiAffinity == nil {
		return nil
	}
	return out
}

func nodeAffinity(a config.NodeAffinity) *corev1.NodeAffinity {
	if len(a.Required.Terms)+len(a.Preferred) == 0 {
		return nil
	}
	out := &corev1.NodeAffinity{}
	if len(a.Required.Terms) > 0 {
		out.RequiredDuringSchedulingIgnoredDuringExecution = &corev1.NodeSelector{}
		for _, t := range a.Required.Terms {
			terms := &out.RequiredDuringSchedulingIgnoredDuringExecution.NodeSelectorTerms
			*terms = append(*terms, nodeTerm(t))
		}
	}
	for _, p := range a.Preferred {
		out.PreferredDuringSchedulingIgnoredDuringExecution = append(out.PreferredDuringSchedulingIgnoredDuringExecution,
			corev1.PreferredSchedulingTerm{Weight: int32(p.Weight), Preference: nodeTerm(p.Preference)})
	}
	return out
}

func nodeTerm(t config.NodeTerm) corev1.NodeSelectorTerm {
	requirements := func(list []config.Expression) []corev1.NodeSelectorRequirement {
		var out []corev1.NodeSelectorRequirement
		for _, x := range list {
			out = append(out, corev1.NodeSelectorRequirement{Key: x.Key, Operator: corev1.NodeSelectorOperator(x.Operator), Values: x.Values})
		}
		return out
	}
	return corev1.NodeSelectorTerm{
		MatchExpressions: requirements(t.MatchExpressions), MatchFields: requirements(t.MatchFields),
	}
}

func podAffinity(a config.PodAffinity) *corev1.PodAffinity {
	if len(a.Required)+len(a.Preferred) == 0 {
		return nil
	}
	out := &corev1.PodAffinity{}
	for _, t := range a.Required {
		out.RequiredDuringSchedulingIgnoredDuringExecution = append(out.RequiredDuringSchedulingIgnoredDuringExecution, podTerm(t))
	}
	for _, p := range a.Preferred {
		out.PreferredDuringSchedulingIgnoredDuringExecution = append(out.PreferredDuringSchedulingIgnoredDuringExecution,
			corev1.WeightedPodAffinityTerm{Weight: int32(p.Weight), PodAffinityTerm: podTerm(p.Term)})
	}
	return out
}

func antiAffinity(a config.PodAffinity) *corev1.PodAntiAffinity {
	p := podAffinity(a)
	if p == nil {
		return nil
	}
	return &corev1.PodAntiAffinity{
		RequiredDuringSchedulingIgnoredDuringExecution:  p.RequiredDuringSchedulingIgnoredDuringExecution,
		PreferredDuringSchedulingIgnoredDuringExecution: p.PreferredDuringSchedulingIgnoredDuringExecution,
	}
}

func podTerm(t config.PodTerm) corev1.PodAffinityTerm {
	return corev1.PodAffinityTerm{
		LabelSelector: labelSelector(t.LabelSelector), NamespaceSelector: labelSelector(t.NamespaceSelector),
		Namespaces: t.Namespaces, TopologyKey: t.TopologyKey,
		MatchLabelKeys: t.MatchLabelKeys, MismatchLabelKeys: t.MismatchLabelKeys,
	}
}

func labelSelector(s config.LabelSelector) *metav1.LabelSelector {
	if len(s.MatchLabels)+len(s.MatchExpressions) == 0 {
		return nil
	}
	out := &metav1.LabelSelector{MatchLabels: maps.Clone(s.MatchLabels)}
	for _, x := range s.MatchExpressions {
		out.MatchExpressions = append(out.MatchExpressions, metav1.LabelSelectorRequirement{
			Key: x.Key, Operator: metav1.LabelSelectorOperator(x.Operator), Values: slices.Clone(x.Values),
		})
	}
	return out
}
