// Package debian makes root file systems of Debian packages, for any
// architecture, on a machine of another one: nothing of the packages is run.
package debian

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// A Release says where packages come from.
type Release struct {
	Suite  string // "trixie"
	ID     string // as in /etc/os-release: "13"
	Mirror string // "http://deb.debian.org/debian"
}

// Trixie is the release that the images are made of.
var Trixie = Release{Suite: "trixie", ID: "13", Mirror: "http://deb.debian.org/debian"}

// Fetch downloads what is essential in Debian, the wanted packages, and what they
// depend on, and returns the files in the order of their names. apt finds and
// checks them, in a folder of its own below cache: the machine's own packages and
// sources do not matter.
func (r Release) Fetch(ctx context.Context, cache, architecture string, wanted ...string) ([]string, error) {
	root := filepath.Join(cache, "debian", r.Suite+"-"+architecture)
	if err := r.prepare(root, architecture); err != nil {
		return nil, err
	}
	archives := filepath.Join(root, "var/cache/apt/archives")
	install := append([]string{"-y", "--print-uris", "install", "?essential"}, wanted...)
	for _, args := range [][]string{{"update"}, append([]string{"-y", "--download-only", "install", "?essential"}, wanted...)} {
		if _, err := apt(ctx, root, args...); err != nil {
			return nil, err
		}
	}
	// What is there already is not printed, so it is asked as if nothing were.
	text, err := apt(ctx, root, append([]string{"-o", "Dir::Cache::archives=" + filepath.Join(root, "none")}, install...)...)
	if err != nil {
		return nil, err
	}
	var files []string
	for line := range strings.Lines(text) {
		if fields := strings.Fields(line); len(fields) >= 3 && strings.HasPrefix(fields[0], "'") {
			files = append(files, filepath.Join(archives, fields[1]))
		}
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("apt-get %s: no package in what it prints:\n%s", strings.Join(install, " "), text)
	}
	slices.Sort(files)
	return files, nil
}

const keyring = "/usr/share/keyrings/debian-archive-keyring.gpg"

// prepare makes apt's folders, where there are none, and its settings.
func (r Release) prepare(root, architecture string) error {
	for _, dir := range []string{"etc/apt/apt.conf.d", "etc/apt/preferences.d", "var/lib/apt/lists/partial", "var/lib/dpkg", "var/cache/apt/archives/partial", "none/partial"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			return err
		}
	}
	if _, err := os.Stat(keyring); err != nil {
		return fmt.Errorf("%w; install debian-archive-keyring: apt checks the packages with it", err)
	}
	sources := fmt.Sprintf("deb [signed-by=%[1]s] %[2]s %[3]s main\ndeb [signed-by=%[1]s] %[2]s %[3]s-updates main\ndeb [signed-by=%[1]s] %[2]s-security %[3]s-security main\n", keyring, r.Mirror, r.Suite)
	settings := fmt.Sprintf(`Dir %q;
Dir::State::status %q;
#clear APT::Architectures;
APT::Architecture %q;
APT::Architectures { %q; };
APT::Install-Recommends "false";
APT::Sandbox::User "";
Acquire::Languages "none";
Acquire::Retries "3";
Debug::NoLocking "true";
`, root, filepath.Join(root, "var/lib/dpkg/status"), architecture, architecture)
	for name, text := range map[string]string{"etc/apt/sources.list": sources, "apt.conf": settings, "var/lib/dpkg/status": ""} {
		if err := os.WriteFile(filepath.Join(root, name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}

func apt(ctx context.Context, root string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "apt-get", append([]string{"-q"}, args...)...)
	cmd.Env = append(os.Environ(), "APT_CONFIG="+filepath.Join(root, "apt.conf"), "LC_ALL=C")
	var said strings.Builder
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("apt-get %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(said.String()))
	}
	return string(out), nil
}
