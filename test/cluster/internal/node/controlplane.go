package node

import (
	"github.com/runnerd/runnerd/test/cluster/internal/component"
	"github.com/runnerd/runnerd/test/cluster/internal/state"
	"github.com/runnerd/runnerd/test/cluster/internal/supervise"
)

const etcdURL = "http://127.0.0.1:2379"

// Etcd keeps the API server's objects.
func (n *Node) Etcd() supervise.Component {
	const peer = "http://127.0.0.1:2380"
	return n.component(component.Etcd, n.answers(etcdURL+"/readyz"),
		"--name=default",
		"--data-dir="+n.Path("etcd"),
		"--listen-client-urls="+etcdURL,
		"--advertise-client-urls="+etcdURL,
		"--listen-peer-urls="+peer,
		"--initial-advertise-peer-urls="+peer,
		"--initial-cluster=default="+peer,
		"--unsafe-no-fsync", // the state is thrown away with the cluster
		"--log-level=warn",
	)
}

// APIServer is the kube-apiserver.
func (n *Node) APIServer() supervise.Component {
	return n.component(component.APIServer, n.answers("https://"+state.APIServer+"/readyz"),
		"--etcd-servers="+etcdURL,
		"--advertise-address="+state.NodeIP, // not loopback, which no Endpoints may hold
		"--secure-port=6443",
		"--tls-cert-file="+n.ca.CertFile("server"),
		"--tls-private-key-file="+n.ca.KeyFile("server"),
		"--client-ca-file="+n.ca.CAFile(),
		"--authorization-mode=Node,RBAC",
		"--enable-admission-plugins=NodeRestriction",
		"--allow-privileged",
		"--service-cluster-ip-range="+state.ServiceCIDR,
		"--service-account-issuer=https://kubernetes.default.svc."+state.ClusterDomain,
		"--service-account-key-file="+n.Path("pki", "service-account.pub"),
		"--service-account-signing-key-file="+n.ca.KeyFile("service-account"),
		"--kubelet-preferred-address-types=InternalIP", // the node's name resolves nowhere
		"--kubelet-certificate-authority="+n.ca.CAFile(),
		"--kubelet-client-certificate="+n.ca.CertFile("apiserver-kubelet"),
		"--kubelet-client-key="+n.ca.KeyFile("apiserver-kubelet"),
		"--profiling=false",
	)
}

// ControllerManager is the kube-controller-manager.
func (n *Node) ControllerManager() supervise.Component {
	return n.component(component.ControllerManager, n.answers("https://127.0.0.1:10257/healthz"),
		"--kubeconfig="+n.kubeconfig("controller-manager"),
		"--bind-address=127.0.0.1",
		"--tls-cert-file="+n.ca.CertFile("server"),
		"--tls-private-key-file="+n.ca.KeyFile("server"),
		"--leader-elect=false",
		"--use-service-account-credentials",
		"--flex-volume-plugin-dir="+n.Path("kubelet", "plugins-exec"), // it creates it
		"--root-ca-file="+n.ca.CAFile(),
		// Each controller starts with a request or two; at the default 20 a
		// second the last ones, default service accounts among them, wait 4 s.
		"--kube-api-qps=200", "--kube-api-burst=400",
		"--service-account-private-key-file="+n.ca.KeyFile("service-account"),
		"--profiling=false",
	)
}

// Scheduler is the kube-scheduler.
func (n *Node) Scheduler() supervise.Component {
	return n.component(component.Scheduler, n.answers("https://127.0.0.1:10259/healthz"),
		"--kubeconfig="+n.kubeconfig("scheduler"),
		"--bind-address=127.0.0.1",
		"--tls-cert-file="+n.ca.CertFile("server"),
		"--tls-private-key-file="+n.ca.KeyFile("server"),
		"--leader-elect=false",
		"--profiling=false",
	)
}
