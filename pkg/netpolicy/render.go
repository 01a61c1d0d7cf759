package netpolicy

import (
	"cmp"
	"slices"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// Render returns the policies of all namespaces: by namespace, the one for all
// job pods first, then by tier. A tier without egress needs none of its own.
// Peers keep their order and their words: a range that holds the cluster itself
// or the cloud's metadata address is allowed as a whole.
func Render(c Config) []networkingv1.NetworkPolicy {
	var policies []networkingv1.NetworkPolicy
	for _, n := range slices.SortedFunc(slices.Values(c.Namespaces), func(a, b Namespace) int { return cmp.Compare(a.Name, b.Name) }) {
		policies = append(policies, forAllJobs(n))
		for _, t := range slices.SortedFunc(slices.Values(n.Tiers), func(a, b Tier) int { return cmp.Compare(a.Name, b.Name) }) {
			if len(t.Egress) > 0 {
				policies = append(policies, forTier(n.Name, t))
			}
		}
	}
	return policies
}

// forAllJobs denies both directions, by naming them, except for what each job
// needs. There is no rule for Ingress: nothing connects to a job.
func forAllJobs(n Namespace) networkingv1.NetworkPolicy {
	return policy(n.Name, allJobs, networkingv1.NetworkPolicySpec{
		PodSelector: metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: Label, Operator: metav1.LabelSelectorOpExists}}},
		PolicyTypes: []networkingv1.PolicyType{networkingv1.PolicyTypeIngress, networkingv1.PolicyTypeEgress},
		Egress:      egress(slices.Concat(n.Base.dns(), n.Base.GitLab, n.Base.ObjectStore, n.Base.Proxy)),
	})
}

func forTier(namespace string, t Tier) networkingv1.NetworkPolicy {
	return policy(namespace, tierName(t.Name), networkingv1.NetworkPolicySpec{
		PodSelector: metav1.LabelSelector{MatchLabels: map[string]string{Label: t.Name}},
		PolicyTypes: []networkingv1.PolicyType{networkingv1.PolicyTypeEgress},
		Egress:      egress(t.Egress),
	})
}

func policy(namespace, name string, spec networkingv1.NetworkPolicySpec) networkingv1.NetworkPolicy {
	return networkingv1.NetworkPolicy{
		TypeMeta: metav1.TypeMeta{APIVersion: networkingv1.SchemeGroupVersion.String(), Kind: "NetworkPolicy"},
		ObjectMeta: metav1.ObjectMeta{
			Namespace: namespace, Name: name,
			Labels: map[string]string{"app.kubernetes.io/managed-by": "runnerd"},
		},
		Spec: spec,
	}
}

// egress has one rule for each peer. A peer that names nothing gets none: a
// rule without a peer would allow the whole world.
func egress(peers []Peer) []networkingv1.NetworkPolicyEgressRule {
	var rules []networkingv1.NetworkPolicyEgressRule
	for _, p := range peers {
		if to, ok := p.selector(); ok {
			rules = append(rules, networkingv1.NetworkPolicyEgressRule{To: []networkingv1.NetworkPolicyPeer{to}, Ports: p.ports()})
		}
	}
	return rules
}

// selector reports false for a peer that names nothing.
func (p Peer) selector() (networkingv1.NetworkPolicyPeer, bool) {
	var to networkingv1.NetworkPolicyPeer
	if p.CIDR != "" { // Kubernetes takes no selectors beside it
		to.IPBlock = &networkingv1.IPBlock{CIDR: p.CIDR, Except: p.Except}
		return to, true
	}
	if p.Namespace != "" {
		to.NamespaceSelector = &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: p.Namespace}}
	}
	if len(p.Pods) > 0 {
		to.PodSelector = &metav1.LabelSelector{MatchLabels: p.Pods}
	}
	return to, to.NamespaceSelector != nil || to.PodSelector != nil
}

// ports returns nil for all ports.
func (p Peer) ports() []networkingv1.NetworkPolicyPort {
	var ports []networkingv1.NetworkPolicyPort
	add := func(protocol corev1.Protocol, numbers []int32) {
		for _, n := range numbers {
			number := intstr.FromInt32(n)
			ports = append(ports, networkingv1.NetworkPolicyPort{Protocol: &protocol, Port: &number})
		}
	}
	add(corev1.ProtocolUDP, p.UDP)
	add(corev1.ProtocolTCP, p.TCP)
	return ports
}
