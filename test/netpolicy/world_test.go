package netpolicy

import (
	"github.com/mattfenwick/cyclonus/pkg/matcher"
	corev1 "k8s.io/api/core/v1"
)

// The label of job pods, as the documentation has it.
const tierLabel = "runnerd.io/network-tier"

// A source is somebody who opens connections.
type source struct {
	name string
	peer *matcher.TrafficPeer
}

// A destination is a port that somebody listens on.
type destination struct {
	name     string
	peer     *matcher.TrafficPeer
	port     int
	protocol corev1.Protocol
}

// sources are the table's columns.
func sources() []source {
	return []source{
		{"job, `default`", jobPod("ci", "default", "10.244.1.1")},
		{"job, `trusted`", jobPod("ci", "trusted", "10.244.1.2")},
		{"job, `internet`", jobPod("ci", "internet", "10.244.1.3")},
		{"job in `ci-forks`", jobPod("ci-forks", "default", "10.244.2.1")},
		{"pod in `ci` without the label", pod("ci", nil, "10.244.1.4")},
		{"unrelated pod", pod("web", map[string]string{"app": "web"}, "10.244.3.1")},
		{"external address", address("192.0.2.50")},
	}
}

// destinations are the table's rows. GitLab and the API server are addresses:
// they are no pods, or reached by a Service's address.
func destinations() []destination {
	dns := pod("kube-system", map[string]string{"k8s-app": "kube-dns"}, "10.244.0.2")
	minio := pod("minio", map[string]string{"app": "minio"}, "10.244.4.1")
	return []destination{
		{"DNS (`kube-dns`), 53/UDP", dns, 53, corev1.ProtocolUDP},
		{"DNS (`kube-dns`), 53", dns, 53, corev1.ProtocolTCP},
		{"DNS (`kube-dns`), 80", dns, 80, corev1.ProtocolTCP},
		{"GitLab, 443", address("10.20.0.5"), 443, corev1.ProtocolTCP},
		{"GitLab, 22", address("10.20.0.5"), 22, corev1.ProtocolTCP},
		{"MinIO, 9000", minio, 9000, corev1.ProtocolTCP},
		{"MinIO, 9001", minio, 9001, corev1.ProtocolTCP},
		{"proxy, 3128", pod("egress", map[string]string{"app": "squid"}, "10.244.5.1"), 3128, corev1.ProtocolTCP},
		{"database, 5432", pod("databases", map[string]string{"app": "postgres"}, "10.244.6.1"), 5432, corev1.ProtocolTCP},
		{"partner 198.51.100.7, 443", address("198.51.100.7"), 443, corev1.ProtocolTCP},
		{"internet 203.0.113.10, 443", address("203.0.113.10"), 443, corev1.ProtocolTCP},
		{"internet 203.0.113.10, 25", address("203.0.113.10"), 25, corev1.ProtocolTCP},
		{"metadata 169.254.169.254, 80", address("169.254.169.254"), 80, corev1.ProtocolTCP},
		{"Kubernetes API 10.96.0.1, 443", address("10.96.0.1"), 443, corev1.ProtocolTCP},
		{"job pod in `ci`, 443", jobPod("ci", "default", "10.244.1.5"), 443, corev1.ProtocolTCP},
		{"job pod in `ci-forks`, 443", jobPod("ci-forks", "default", "10.244.2.5"), 443, corev1.ProtocolTCP},
		{"unrelated pod, 443", pod("web", map[string]string{"app": "web"}, "10.244.3.5"), 443, corev1.ProtocolTCP},
	}
}

// jobPod is a pod as the executor labels it.
func jobPod(namespace, tier, ip string) *matcher.TrafficPeer {
	return pod(namespace, map[string]string{tierLabel: tier}, ip)
}

func pod(namespace string, labels map[string]string, ip string) *matcher.TrafficPeer {
	return &matcher.TrafficPeer{IP: ip, Internal: &matcher.InternalPeer{
		Namespace: namespace, PodLabels: labels,
		NamespaceLabels: map[string]string{corev1.LabelMetadataName: namespace}, // the API server sets it
	}}
}

func address(ip string) *matcher.TrafficPeer { return &matcher.TrafficPeer{IP: ip} }
