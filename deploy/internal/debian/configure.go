package debian

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
	"strings"
)

// configure does what the packages' scripts would have done, as far as it matters
// here: accounts, names, authorities, the list of packages.
func (t *Tree) configure() error {
	for name, mode := range map[string]int64{"dev": 0o755, "proc": 0o755, "sys": 0o555, "run": 0o755, "root": 0o700, "home": 0o755, "tmp": 0o1777, "var/tmp": 0o1777} {
		t.dir(name, mode)
	}
	if _, ok := t.files["usr/lib64"]; ok {
		t.link("lib64", "usr/lib64")
	}
	for name, target := range map[string]string{"usr/bin/awk": "mawk", "usr/bin/which": "which.debianutils", "usr/bin/sh": "dash", "var/run": "/run", "var/lock": "/run/lock"} {
		_, there := t.files[name]
		_, has := t.files[path.Join(path.Dir(name), target)]
		if !there && (has || strings.HasPrefix(target, "/")) {
			t.link(name, target)
		}
	}
	for name, master := range map[string]string{"etc/passwd": "usr/share/base-passwd/passwd.master", "etc/group": "usr/share/base-passwd/group.master", "etc/nsswitch.conf": "usr/share/libc-bin/nsswitch.conf"} {
		if err := t.copy(name, master); err != nil {
			return err
		}
	}
	t.authorities()
	t.list()
	for _, name := range slices.Collect(maps.Keys(t.files)) {
		for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
			if _, ok := t.files[dir]; !ok {
				t.dir(dir, 0o755)
			}
		}
	}
	return nil
}

func (t *Tree) copy(name, from string) error {
	f, ok := t.files[from]
	if !ok {
		return fmt.Errorf("no package has /%s", from)
	}
	t.Put(name, 0o644, f.data)
	return nil
}

// authorities joins the certificates into the file that programs read.
func (t *Tree) authorities() {
	const from = "usr/share/ca-certificates/"
	var bundle, names bytes.Buffer
	for _, name := range slices.Sorted(maps.Keys(t.files)) {
		if strings.HasPrefix(name, from) && strings.HasSuffix(name, ".crt") {
			bundle.Write(bytes.TrimSpace(t.files[name].data))
			bundle.WriteString("\n")
			fmt.Fprintln(&names, strings.TrimPrefix(name, from))
		}
	}
	if bundle.Len() > 0 {
		t.Put("etc/ssl/certs/ca-certificates.crt", 0o644, bundle.Bytes())
		t.Put("etc/ca-certificates.conf", 0o644, names.Bytes())
	}
}

// list is dpkg's: scanners look there for what is installed.
func (t *Tree) list() {
	var status bytes.Buffer
	for _, p := range t.Packages {
		first, rest, _ := strings.Cut(p.control, "\n")
		fmt.Fprintf(&status, "%s\nStatus: install ok installed\n%s\n", first, strings.TrimRight(rest, "\n")+"\n")
	}
	t.Put("var/lib/dpkg/status", 0o644, status.Bytes())
	t.dir("var/lib/dpkg/info", 0o755)
}

// Authorities is the file with the certificates of all authorities.
func (t *Tree) Authorities() []byte { return t.files["etc/ssl/certs/ca-certificates.crt"].data }

// Write writes the tree as a tar archive, the same bytes for the same tree. Hard
// links come last, behind what they are links to.
func (t *Tree) Write(w io.Writer) error {
	out := tar.NewWriter(w)
	names := slices.Sorted(maps.Keys(t.files))
	for _, links := range []bool{false, true} {
		for _, name := range names {
			f := t.files[name]
			if links != (f.header.Typeflag == tar.TypeLink) {
				continue
			}
			h := f.header
			h.Name = name
			if h.Typeflag == tar.TypeDir {
				h.Name += "/"
			}
			if err := out.WriteHeader(&h); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			if _, err := out.Write(f.data); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
	}
	return out.Close()
}
