// Package node says what the components of the one-node cluster are: their
// certificates, configuration files, command lines and signs of readiness.
package node

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/runnerd/runnerd/test/cluster/internal/pki"
	"github.com/runnerd/runnerd/test/cluster/internal/state"
	"github.com/runnerd/runnerd/test/cluster/internal/supervise"
)

// A Node prepares the components of one cluster.
type Node struct {
	state.Cluster
	self string         // this program, which holds most of the components
	ca   *pki.Authority // its folder is STATE/pki
	http *http.Client   // as the cluster's administrator
}

// New makes the cluster's certificates and kubeconfig files.
func New(c state.Cluster) (*Node, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	n := &Node{Cluster: c, self: self}
	if n.ca, err = pki.New(c.Path("pki")); err != nil {
		return nil, err
	}
	if err := n.certificates(); err != nil {
		return nil, fmt.Errorf("certificates: %w", err)
	}
	n.http, err = n.adminClient()
	return n, err
}

// Node's users, by the name of their kubeconfig (NAME.kubeconfig in the state
// folder). The names and groups are those that Kubernetes' built-in roles bind.
var users = []struct{ name, user, group string }{
	{"admin", "runnerd-admin", "system:masters"},
	{"controller-manager", "system:kube-controller-manager", ""},
	{"scheduler", "system:kube-scheduler", ""},
	{"proxy", "system:kube-proxy", ""},
	{"coredns", "coredns", "system:masters"}, // no built-in role fits
}

func (n *Node) certificates() error {
	// One server certificate serves all components.
	if err := n.ca.Serving("server", "localhost", "127.0.0.1", state.NodeIP, state.APIServiceIP, n.Name,
		"kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc."+state.ClusterDomain); err != nil {
		return err
	}
	if err := n.ca.KeyPair("service-account"); err != nil {
		return err
	}
	if err := n.ca.Client("apiserver-kubelet", "apiserver-kubelet", "system:masters"); err != nil {
		return err
	}
	server := "https://" + state.APIServer
	for _, u := range users {
		var groups []string
		if u.group != "" {
			groups = []string{u.group}
		}
		if err := n.ca.Kubeconfig(n.kubeconfig(u.name), server, u.name, u.user, groups...); err != nil {
			return err
		}
	}
	return n.ca.Kubeconfig(n.kubeconfig("kubelet"), server, "kubelet", "system:node:"+n.Name, "system:nodes")
}

func (n *Node) kubeconfig(name string) string { return n.Path(name + ".kubeconfig") }

// component fills in what all components of this program have in common.
func (n *Node) component(name string, ready func(context.Context) error, args ...string) supervise.Component {
	return supervise.Component{
		Name:  name,
		Argv:  append([]string{n.self, name}, args...),
		Env:   []string{"GOGC=200"}, // trades memory, of which there is enough, for CPU
		Log:   n.Log(name),
		Ready: ready,
		// An API server waits for open log streams to end, for up to a minute;
		// a kubelet that ran it would lose patience too, if not as soon.
		Grace: 5 * time.Second,
	}
}

func (n *Node) adminClient() (*http.Client, error) {
	ca, err := os.ReadFile(n.ca.CAFile())
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(ca)
	cert, err := tls.LoadX509KeyPair(n.ca.CertFile("admin"), n.ca.KeyFile("admin"))
	if err != nil {
		return nil, err
	}
	return &http.Client{Transport: &http.Transport{
		TLSClientConfig:   &tls.Config{RootCAs: pool, Certificates: []tls.Certificate{cert}},
		DisableKeepAlives: true, // each question is to ask the process that runs now
	}}, nil
}

// answers returns a readiness check: url answers 200.
func (n *Node) answers(url string) func(context.Context) error {
	return func(ctx context.Context) error {
		_, err := n.get(ctx, url)
		return err
	}
}

func (n *Node) get(ctx context.Context, url string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	resp, err := n.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s: %.200s", url, resp.Status, body)
	}
	return body, err
}
