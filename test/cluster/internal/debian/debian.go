// Package debian knows the machine's Debian: it installs what is missing and
// finds the archive that apt uses.
package debian

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
)

// needed maps a program to the package that brings it.
var needed = map[string]string{
	"/usr/bin/containerd":   "containerd",
	"/usr/sbin/runc":        "runc",
	"/usr/lib/cni/ptp":      "containernetworking-plugins",
	"/usr/sbin/nft":         "nftables",
	"/usr/sbin/iptables":    "iptables",
	"/usr/sbin/conntrack":   "conntrack",
	"/usr/bin/ip":           "iproute2",
	"/bin/busybox":          "busybox-static",
	"/usr/sbin/debootstrap": "debootstrap",
}

// Install installs what is missing, saying so in one line on log.
func Install(ctx context.Context, log io.Writer) error {
	var missing []string
	for file, pkg := range needed {
		if _, err := os.Stat(file); err != nil {
			missing = append(missing, pkg)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	slices.Sort(missing)
	fmt.Fprintln(log, "installing with apt-get:", strings.Join(missing, " "))
	if err := aptGet(ctx, "update"); err != nil {
		return err
	}
	return aptGet(ctx, append([]string{"install", "-y", "--no-install-recommends"}, missing...)...)
}

func aptGet(ctx context.Context, args ...string) error {
	cmd := exec.CommandContext(ctx, "apt-get", append([]string{"-q"}, args...)...)
	cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
	if out, err := cmd.CombinedOutput(); err != nil {
		lines := strings.Split(strings.TrimSpace(string(out)), "\n")
		return fmt.Errorf("apt-get %s: %w: %s", strings.Join(args, " "), err, lines[len(lines)-1])
	}
	return nil
}

// Mirror returns the archive and release that the machine's apt is configured
// with, or Debian's own and its stable release.
func Mirror(ctx context.Context) (site, suite string) {
	suite = "bookworm"
	if b, err := os.ReadFile("/etc/os-release"); err == nil && strings.Contains(string(b), "\nID=debian\n") {
		for line := range strings.Lines(string(b)) {
			if name, ok := strings.CutPrefix(strings.TrimSpace(line), "VERSION_CODENAME="); ok {
				suite = name
			}
		}
	}
	out, _ := exec.CommandContext(ctx, "apt-get", "indextargets", "--format", "$(SITE) $(RELEASE) $(COMPONENT)").Output()
	for line := range strings.Lines(string(out)) {
		if f := strings.Fields(line); len(f) == 3 && f[1] == suite && f[2] == "main" {
			return f[0], suite
		}
	}
	return "http://deb.debian.org/debian", suite
}
