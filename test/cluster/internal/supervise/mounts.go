package supervise

import (
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// CNICache is where libcni keeps results, whatever its configuration. It is the
// one folder that has to be made on the machine itself, to be mounted over.
const CNICache = "/var/lib/cni"

// tunables are the kernel settings that a kubelet sets for the whole machine,
// with the values it wants (pkg/kubelet/cm/container_manager_linux.go).
var tunables = map[string]string{
	"vm/overcommit_memory":      "1",
	"vm/panic_on_oom":           "0",
	"kernel/panic":              "10",
	"kernel/panic_on_oops":      "1",
	"kernel/keys/root_maxkeys":  "1000000",
	"kernel/keys/root_maxbytes": "25000000",
}

// privateMounts arranges this process's own mount namespace, which dies with
// it: a /proc that shows the PID namespace; empty folders over those in which
// containerd, runc, the CNI plugins and the kubelet leave files at fixed paths;
// and plain files over the kernel settings above, so that the kubelet finds
// what it wants and the machine keeps what it had.
func privateMounts() error {
	// What the kubelet mounts must reach containers, so "/" is shared, within
	// this namespace only: it was made private when the namespace was made.
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_SHARED, ""); err != nil {
		return fmt.Errorf("share mounts: %w", err)
	}
	if err := unix.Mount("proc", "/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		return fmt.Errorf("mount /proc: %w", err)
	}
	for _, dir := range []string{"/run", "/var/log", CNICache} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
		if err := unix.Mount("tmpfs", dir, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=755"); err != nil {
			return fmt.Errorf("mount %s: %w", dir, err)
		}
	}
	for name, value := range tunables {
		file := filepath.Join("/run/tunables", name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(file, []byte(value+"\n"), 0o644); err != nil {
			return err
		}
		if err := unix.Mount(file, filepath.Join("/proc/sys", name), "", unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("cover /proc/sys/%s: %w", name, err)
		}
	}
	return nil
}
