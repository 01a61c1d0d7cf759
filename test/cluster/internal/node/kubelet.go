package node

import (
	"fmt"

	"github.com/runnerd/runnerd/test/cluster/internal/component"
	"github.com/runnerd/runnerd/test/cluster/internal/state"
	"github.com/runnerd/runnerd/test/cluster/internal/supervise"
)

// kubeletConfig leaves all periods at their defaults, so that what tests
// measure is what users get. It lets the disk and memory run full, and keeps
// unused images, as the machine is not the cluster's alone.
const kubeletConfig = `apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
address: 0.0.0.0
healthzBindAddress: 127.0.0.1
authentication:
  anonymous: {enabled: false}
  webhook: {enabled: true}
  x509: {clientCAFile: %[1]q}
authorization: {mode: Webhook}
tlsCertFile: %[2]q
tlsPrivateKeyFile: %[3]q
containerRuntimeEndpoint: %[4]q
cgroupDriver: cgroupfs
cgroupRoot: %[5]q
failCgroupV1: false
failSwapOn: false
oomScoreAdj: 0
enforceNodeAllocatable: []
evictionHard: {memory.available: 1Mi, nodefs.available: 1Mi, imagefs.available: 1Mi}
imageGCHighThresholdPercent: 100
serializeImagePulls: false
maxPods: 200
clusterDomain: %[6]s
clusterDNS: [%[7]s]
resolvConf: %[8]q
podLogsDir: %[9]q
volumePluginDir: %[10]q
staticPodPath: ""
makeIPTablesUtilChains: false
`

// Kubelet writes the kubelet's configuration.
func (n *Node) Kubelet() (supervise.Component, error) {
	resolvConf := n.Path("resolv.conf")
	files := map[string]string{
		resolvConf: "nameserver " + state.NodeIP + "\n",
		n.Path("kubelet.yaml"): fmt.Sprintf(kubeletConfig,
			n.ca.CAFile(), n.ca.CertFile("server"), n.ca.KeyFile("server"), "unix://"+n.ContainerdSocket(),
			"/"+n.Cgroup(), state.ClusterDomain, state.NodeIP, resolvConf, n.Path("pod-logs"), n.Path("kubelet", "plugins-exec")),
	}
	for file, text := range files {
		if err := writeFile(file, text); err != nil {
			return supervise.Component{}, err
		}
	}
	return n.component(component.Kubelet, n.answers("http://127.0.0.1:10248/healthz"),
		"--config="+n.Path("kubelet.yaml"),
		"--kubeconfig="+n.kubeconfig("kubelet"),
		"--root-dir="+n.Path("kubelet"),
		"--cert-dir="+n.Path("kubelet", "pki"),
		"--node-ip="+state.NodeIP,
		"--hostname-override="+n.Name,
	), nil
}

const proxyConfig = `apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: nftables
clientConnection: {kubeconfig: %q}
clusterCIDR: %s
hostnameOverride: %s
healthzBindAddress: 127.0.0.1:10256
metricsBindAddress: 127.0.0.1:10249
conntrack: {maxPerCore: 0}
`

// Proxy writes kube-proxy's configuration.
func (n *Node) Proxy() (supervise.Component, error) {
	file := n.Path("kube-proxy.yaml")
	text := fmt.Sprintf(proxyConfig, n.kubeconfig("proxy"), state.PodCIDR, n.Name)
	if err := writeFile(file, text); err != nil {
		return supervise.Component{}, err
	}
	return n.component(component.Proxy, n.answers("http://127.0.0.1:10256/healthz"), "--config="+file), nil
}

// corefile: what is neither in the cluster nor one of the names below does not
// exist, and pods learn that at once rather than after a time-out.
const corefile = `.:53 {
  bind %[1]s
  ready 127.0.0.1:8181
  errors
  kubernetes %[2]s in-addr.arpa {
    kubeconfig %[3]s
  }
  hosts {
    %[1]s node.test registry.test
    fallthrough
  }
  template ANY ANY {
    rcode NXDOMAIN
  }
}
`

// CoreDNS writes the Corefile.
func (n *Node) CoreDNS() (supervise.Component, error) {
	file := n.Path("Corefile")
	text := fmt.Sprintf(corefile, state.NodeIP, state.ClusterDomain, n.kubeconfig("coredns"))
	if err := writeFile(file, text); err != nil {
		return supervise.Component{}, err
	}
	return n.component(component.CoreDNS, n.answers("http://127.0.0.1:8181/ready"), "-conf", file), nil
}
