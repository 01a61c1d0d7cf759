//go:build e2e

// Package e2e runs the real daemon against a real Kubernetes and a strict
// stand-in of GitLab. scripts/with-cluster boots the cluster and says where
// everything is; `make e2e` does it all.
package e2e

import (
	"fmt"
	"os"
	"testing"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
)

// ground is where the suite runs. It is set once, before the first test.
var ground struct {
	api      kubernetes.Interface
	runnerd  string // path of the daemon's binary
	helper   string // image with the agent under test
	registry string // host:port
	node     string // address that pods reach this process at
	cluster  string // path of the cluster tool
	name     string // of the cluster
}

func TestMain(m *testing.M) {
	for name, to := range map[string]*string{
		"RUNNERD_BIN": &ground.runnerd, "RUNNERD_HELPER_IMAGE": &ground.helper, "RUNNERD_REGISTRY": &ground.registry,
		"RUNNERD_NODE_IP": &ground.node, "RUNNERD_CLUSTER": &ground.cluster, "RUNNERD_CLUSTER_NAME": &ground.name,
	} {
		if *to = os.Getenv(name); *to == "" {
			fmt.Fprintf(os.Stderr, "e2e: %s is not set; run the suite with `make e2e`\n", name)
			os.Exit(2)
		}
	}
	config, err := clientcmd.BuildConfigFromFlags("", os.Getenv("KUBECONFIG"))
	if err == nil {
		config.QPS, config.Burst = 100, 200
		ground.api, err = kubernetes.NewForConfig(config)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		os.Exit(2)
	}
	os.Exit(m.Run())
}

// image names one of the cluster's test images.
func image(name string) string { return ground.registry + "/test/" + name + ":1" }
