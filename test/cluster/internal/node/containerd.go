package node

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/runnerd/runnerd/test/cluster/internal/state"
	"github.com/runnerd/runnerd/test/cluster/internal/supervise"
)

// PauseImage is the image of the container that holds a pod's namespaces.
const PauseImage = "docker.io/local/pause:1"

// containerdConfig: its "state" stays at /run/containerd, which is the
// cluster's own (supervise.Init), as are the shims' sockets there.
const containerdConfig = `version = 2
root = %[1]q
state = "/run/containerd"
disabled_plugins = [
  "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.devmapper",
  "io.containerd.snapshotter.v1.zfs", "io.containerd.internal.v1.tracing", "io.containerd.tracing.processor.v1.otlp",
]

[grpc]
  address = %[2]q

[plugins."io.containerd.internal.v1.opt"]
  path = %[3]q

[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = %[4]q
  restrict_oom_score_adj = true  # lowering it may not be allowed here
  disable_apparmor = true        # loads a profile into the machine's kernel
  stream_server_address = "127.0.0.1"

  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = %[5]q

  [plugins."io.containerd.grpc.v1.cri".registry]
    config_path = %[6]q
`

// cniConfig gives each pod a veth pair and a host route ("ptp") rather than a
// port of a bridge: pods on one bridge reach each other past iptables unless
// br_netfilter is there, and then a reply from behind a Service gets lost.
const cniConfig = `{
  "cniVersion": "0.4.0",
  "name": "runnerd",
  "plugins": [
    {"type": "ptp", "ipMasq": false, "ipam": {
      "type": "host-local", "ranges": [[{"subnet": %q}]], "routes": [{"dst": "0.0.0.0/0"}], "dataDir": "/run/cni/ipam"}},
    {"type": "portmap", "capabilities": {"portMappings": true}}
  ]
}
`

// Containerd writes the runtime's configuration.
func (n *Node) Containerd() (supervise.Component, error) {
	root, conf := n.Path("containerd"), n.Path("containerd-config")
	cni, hosts := filepath.Join(conf, "cni"), filepath.Join(conf, "registries")
	files := map[string]string{
		filepath.Join(conf, "config.toml"): fmt.Sprintf(containerdConfig,
			root, n.ContainerdSocket(), filepath.Join(root, "opt"), PauseImage, cni, hosts),
		filepath.Join(cni, "10-runnerd.conflist"): fmt.Sprintf(cniConfig, state.PodCIDR),
	}
	for _, host := range []string{state.Registry, state.AuthRegistry} {
		files[filepath.Join(hosts, host, "hosts.toml")] = fmt.Sprintf(
			"server = \"http://%[1]s\"\n[host.\"http://%[1]s\"]\n  capabilities = [\"pull\", \"resolve\"]\n", host)
	}
	for file, text := range files {
		if err := writeFile(file, text); err != nil {
			return supervise.Component{}, err
		}
	}
	return supervise.Component{
		Name:  "containerd",
		Argv:  []string{"containerd", "--config", filepath.Join(conf, "config.toml"), "--log-level", "info"},
		Log:   n.Log("containerd"),
		Ready: n.containerdReady,
		Grace: 10 * time.Second,
	}, nil
}

func (n *Node) containerdReady(ctx context.Context) error {
	if _, err := os.Stat(n.ContainerdSocket()); err != nil {
		return err // gRPC would log what it cannot reach
	}
	conn, err := grpc.NewClient("unix://"+n.ContainerdSocket(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer conn.Close()
	_, err = cri.NewRuntimeServiceClient(conn).Version(ctx, &cri.VersionRequest{})
	return err
}

func writeFile(file, text string) error {
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	return os.WriteFile(file, []byte(text), 0o644)
}
