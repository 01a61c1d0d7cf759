package netpolicy

// Label is on every job pod of a runner with network policies; its value is the
// name of the pod's tier.
const Label = "runnerd.io/network-tier"

// A Config is what the job pods of some namespaces may reach.
type Config struct {
	Namespaces []Namespace // each name once
}

// A Namespace is one that job pods run in.
type Namespace struct {
	Name  string
	Base  Base
	Tiers []Tier // each name once
}

// Base is what every job pod may reach.
type Base struct {
	DNS         []Peer // none: port 53 of the pods labelled k8s-app=kube-dns in kube-system
	GitLab      []Peer
	ObjectStore []Peer
	Proxy       []Peer
}

// A Tier is what some job pods may reach in addition.
type Tier struct {
	Name   string // a label's value
	Egress []Peer
}

// A Peer is an address range, or else pods of this cluster.
//
// It is written into a policy as it is. Where a network translates a Service's
// address and port, policies see what they were translated to: the backing
// pods, and the ports that those listen on. A range that holds addresses of
// pods may or may not match them; that is up to the network.
type Peer struct {
	CIDR   string
	Except []string // ranges within CIDR that do not belong to the peer

	Namespace string            // of the pods; "" is the job's own
	Pods      map[string]string // their labels; none: all pods of Namespace

	TCP, UDP []int32 // ports; both empty: every port of every protocol
}

// clusterDNS is where clusters have their DNS unless they say otherwise.
func clusterDNS() []Peer {
	return []Peer{{
		Namespace: "kube-system", Pods: map[string]string{"k8s-app": "kube-dns"},
		TCP: []int32{53}, UDP: []int32{53},
	}}
}

// dns returns the peers that names are resolved by.
func (b Base) dns() []Peer {
	if len(b.DNS) == 0 {
		return clusterDNS()
	}
	return b.DNS
}
