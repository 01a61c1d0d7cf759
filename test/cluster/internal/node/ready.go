package node

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/runnerd/runnerd/test/cluster/internal/state"
)

// Client returns a client for the cluster's API, as administrator.
func Client(c state.Cluster) (*kubernetes.Clientset, error) {
	conf, err := clientcmd.BuildConfigFromFlags("", c.Kubeconfig())
	if err != nil {
		return nil, err
	}
	return kubernetes.NewForConfig(conf)
}

// Ready returns nil if the node is Ready.
func (n *Node) Ready(ctx context.Context) error {
	client, err := Client(n.Cluster)
	if err != nil {
		return err
	}
	node, err := client.CoreV1().Nodes().Get(ctx, n.Name, metav1.GetOptions{})
	if err != nil {
		return err
	}
	for _, cond := range node.Status.Conditions {
		if cond.Type != corev1.NodeReady {
			continue
		}
		if cond.Status == corev1.ConditionTrue {
			return nil
		}
		return fmt.Errorf("node %s is not ready: %s", n.Name, cond.Message)
	}
	return fmt.Errorf("node %s: has reported nothing yet", n.Name)
}

// PodsKnown returns nil if the kubelet knows all pods that are bound to it. One
// that has just started answers requests before, and denies that they exist.
func (n *Node) PodsKnown(ctx context.Context) error {
	client, err := Client(n.Cluster)
	if err != nil {
		return err
	}
	bound, err := client.CoreV1().Pods("").List(ctx, metav1.ListOptions{FieldSelector: "spec.nodeName=" + n.Name})
	if err != nil {
		return err
	}
	body, err := n.get(ctx, "https://"+state.NodeIP+":10250/pods")
	if err != nil {
		return err
	}
	var list corev1.PodList
	if err := json.Unmarshal(body, &list); err != nil {
		return fmt.Errorf("kubelet's pods: %w", err)
	}
	known := map[types.UID]bool{}
	for _, pod := range list.Items {
		known[pod.UID] = true
	}
	for _, pod := range bound.Items {
		if !known[pod.UID] {
			return fmt.Errorf("kubelet does not know pod %s/%s yet", pod.Namespace, pod.Name)
		}
	}
	return nil
}

// DefaultServiceAccount returns nil once pods can be created in "default".
func (n *Node) DefaultServiceAccount(ctx context.Context) error {
	client, err := Client(n.Cluster)
	if err != nil {
		return err
	}
	_, err = client.CoreV1().ServiceAccounts("default").Get(ctx, "default", metav1.GetOptions{})
	return err
}

// DNS returns nil once the cluster's DNS knows the kubernetes Service.
func (n *Node) DNS(ctx context.Context) error {
	r := net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, network, net.JoinHostPort(state.NodeIP, "53"))
	}}
	_, err := r.LookupHost(ctx, "kubernetes.default.svc."+state.ClusterDomain+".")
	return err
}

// Eventually asks check until it returns nil; when ctx ends, its last error is
// returned.
func Eventually(ctx context.Context, check func(context.Context) error) error {
	for {
		try, cancel := context.WithTimeout(ctx, 3*time.Second)
		err := check(try)
		cancel()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(50 * time.Millisecond):
		}
	}
}
