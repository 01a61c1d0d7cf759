// Package state names everything that belongs to one cluster: its folders, its
// namespace, its cgroup, its addresses.
//
// All of it follows from the cluster's name and state folder, so that any
// command finds a cluster again, one whose supervisor has crashed as well.
package state

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// Addresses inside a cluster's network namespace. Every cluster has a
// namespace of its own, so all of them use the same ones.
const (
	NodeIP        = "10.88.0.1" // carried by a bridge without ports
	NodeCIDR      = NodeIP + "/24"
	PodCIDR       = "10.244.0.0/24"
	ServiceCIDR   = "10.96.0.0/16"
	APIServiceIP  = "10.96.0.1" // the kubernetes Service
	ClusterDomain = "cluster.local"

	APIServer    = NodeIP + ":6443"
	Registry     = NodeIP + ":5000" // open to all
	AuthRegistry = NodeIP + ":5001" // wants RegistryUser and RegistryPassword

	RegistryUser     = "ci"
	RegistryPassword = "registry-secret"
)

// DefaultName is the name of the cluster that no flag or variable names.
const DefaultName = "runnerd"

// DefaultParent holds the state folders that no flag or variable names.
const DefaultParent = "/var/lib/runnerd-cluster"

// A Cluster is the place of one cluster on this machine.
type Cluster struct {
	Name  string
	Dir   string // its state; gone when it is down
	Cache string // what all clusters share and keep
}

// validName keeps names usable as a node name, a cgroup and a file name; the
// length keeps Unix socket paths under Dir within the kernel's 108 bytes.
var validName = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,30}[a-z0-9])?$`)

// New returns the cluster called name with its state in dir. Empty arguments
// stand for RUNNERD_CLUSTER_NAME and RUNNERD_CLUSTER_DIR, then for the defaults.
func New(name, dir string) (Cluster, error) {
	name = first(name, os.Getenv("RUNNERD_CLUSTER_NAME"), DefaultName)
	if !validName.MatchString(name) {
		return Cluster{}, fmt.Errorf("cluster name %q: use at most 32 lower-case letters, digits and inner dashes", name)
	}
	dir, err := filepath.Abs(first(dir, os.Getenv("RUNNERD_CLUSTER_DIR"), filepath.Join(DefaultParent, name)))
	if err != nil {
		return Cluster{}, fmt.Errorf("state folder: %w", err)
	}
	if len(dir) > 80 {
		return Cluster{}, fmt.Errorf("state folder %q: longer than 80 bytes, too long for the sockets in it", dir)
	}
	cache, err := cacheDir()
	if err != nil {
		return Cluster{}, err
	}
	c := Cluster{Name: name, Dir: dir, Cache: cache}
	return c, c.checkOwner()
}

func cacheDir() (string, error) {
	if dir := os.Getenv("RUNNERD_CACHE"); dir != "" {
		return filepath.Abs(dir)
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("cache folder: %w; set RUNNERD_CACHE", err)
	}
	return filepath.Join(dir, "runnerd"), nil
}

// Path returns a path inside the state folder.
func (c Cluster) Path(elem ...string) string {
	return filepath.Join(append([]string{c.Dir}, elem...)...)
}

// Netns is the name of the cluster's network namespace, as in "ip netns".
func (c Cluster) Netns() string { return "runnerd-" + c.Name }

// Cgroup is the cluster's cgroup, relative to each hierarchy's root. The pods'
// cgroups and that of the components are below it.
func (c Cluster) Cgroup() string { return "runnerd-" + c.Name }

// Kubeconfig is the administrator's kubeconfig file.
func (c Cluster) Kubeconfig() string { return c.Path("admin.kubeconfig") }

// ControlSocket is the Unix socket on which the supervisor takes commands.
func (c Cluster) ControlSocket() string { return c.Path("run", "control.sock") }

// ContainerdSocket is the Unix socket of the cluster's containerd.
func (c Cluster) ContainerdSocket() string { return c.Path("run", "containerd.sock") }

// Log is the log file of the component called name.
func (c Cluster) Log(name string) string { return c.Path("logs", name+".log") }

// Env returns the variables by which tests and developers find the cluster.
func (c Cluster) Env() []string {
	return []string{
		"KUBECONFIG=" + c.Kubeconfig(),
		"RUNNERD_CLUSTER_NAME=" + c.Name,
		"RUNNERD_CLUSTER_STATE=" + c.Dir,
		"RUNNERD_NODE_IP=" + NodeIP,
		"RUNNERD_REGISTRY=" + Registry,
		"RUNNERD_REGISTRY_AUTH=" + AuthRegistry,
	}
}

// Claim creates the state folder and writes into it whose it is.
func (c Cluster) Claim() error {
	for _, sub := range []string{"", "run", "logs"} {
		if err := os.MkdirAll(c.Path(sub), 0o755); err != nil {
			return err
		}
	}
	return os.WriteFile(c.ownerFile(), []byte(c.Name+"\n"), 0o644)
}

func (c Cluster) ownerFile() string { return c.Path("cluster-name") }

// checkOwner refuses a state folder of another cluster and, since "down"
// deletes the folder, one that holds anything but a cluster.
func (c Cluster) checkOwner() error {
	owner, err := os.ReadFile(c.ownerFile())
	if err == nil {
		if got := strings.TrimSpace(string(owner)); got != c.Name {
			return fmt.Errorf("state folder %s: belongs to cluster %q, not %q", c.Dir, got, c.Name)
		}
		return nil
	}
	if !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("state folder: %w", err)
	}
	entries, err := os.ReadDir(c.Dir)
	if err == nil && len(entries) > 0 {
		return fmt.Errorf("state folder %s: is not empty and holds no cluster; name another with --dir", c.Dir)
	}
	return nil
}

func first(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}
