package kubernetes

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
)

func dnsPolicy(word string) (corev1.DNSPolicy, error) {
	switch word {
	case "":
		return "", nil
	case "none":
		return corev1.DNSNone, nil
	case "default":
		return corev1.DNSDefault, nil
	case "cluster-first":
		return corev1.DNSClusterFirst, nil
	case "cluster-first-with-host-net":
		return corev1.DNSClusterFirstWithHostNet, nil
	}
	return "", fmt.Errorf("dns_policy: unknown policy %q; use none, default, cluster-first or cluster-first-with-host-net", word)
}
