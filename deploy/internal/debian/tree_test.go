package debian

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// pack makes a package of files, whose names may lead into /bin and /lib.
func pack(t *testing.T, name string, files map[string]string) string {
	t.Helper()
	if _, err := exec.LookPath("dpkg-deb"); err != nil {
		t.Skip("dpkg-deb is not installed")
	}
	root := filepath.Join(t.TempDir(), name)
	files["DEBIAN/control"] = "Package: " + name + "\nVersion: 1:2.0-1\nArchitecture: all\nMaintainer: A <a@example.com>\nDescription: test\n more of it\n"
	for file, text := range files {
		path := filepath.Join(root, file)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	out, err := exec.CommandContext(context.Background(), "dpkg-deb", "--root-owner-group", "--build", root, root+".deb").CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return root + ".deb"
}

func masters() map[string]string {
	return map[string]string{
		"usr/share/base-passwd/passwd.master": "root:*:0:0::/root:/bin/bash\n",
		"usr/share/base-passwd/group.master":  "root:*:0:\n", "usr/share/libc-bin/nsswitch.conf": "passwd: files\n",
	}
}

// TestUnpack: packages become one root file system, as their scripts would have made
// it, and always the same bytes.
func TestUnpack(t *testing.T) {
	base := masters()
	base["usr/share/ca-certificates/mozilla/B.crt"], base["usr/share/ca-certificates/mozilla/A.crt"] = "b\n", "a\n"
	base["usr/share/doc/base/copyright"], base["usr/share/doc/base/changelog"], base["usr/share/man/man1/x.1"] = "licence", "changes", "manual"
	old := map[string]string{"bin/tool": "in /bin", "lib/library": "in /lib", "usr/bin/dash": "shell"}
	files := []string{pack(t, "base", base), pack(t, "old", old)}
	var archives [2]bytes.Buffer
	for i := range archives {
		tree, err := Unpack(t.Context(), files)
		if err != nil {
			t.Fatal(err)
		}
		if err := tree.Write(&archives[i]); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(archives[0].Bytes(), archives[1].Bytes()) {
		t.Error("the same packages make two different archives")
	}
	got := map[string]string{}
	for r := tar.NewReader(&archives[0]); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		got[h.Name] = string(data) + h.Linkname
	}
	for name, want := range map[string]string{
		"bin": "usr/bin", "usr/bin/tool": "in /bin", "usr/lib/library": "in /lib", "usr/bin/sh": "dash",
		"etc/passwd": "root:*:0:0::/root:/bin/bash\n", "etc/ssl/certs/ca-certificates.crt": "a\nb\n", "usr/share/doc/base/copyright": "licence",
	} {
		if got[name] != want {
			t.Errorf("%s is %q, want %q", name, got[name], want)
		}
	}
	for _, name := range []string{"usr/share/doc/base/changelog", "usr/share/man/man1/x.1"} {
		if _, ok := got[name]; ok {
			t.Errorf("%s is in the image", name)
		}
	}
	if want := "Package: old\nStatus: install ok installed\nVersion: 1:2.0-1\n"; !strings.Contains(got["var/lib/dpkg/status"], want) {
		t.Errorf("dpkg's list has no %q:\n%s", want, got["var/lib/dpkg/status"])
	}
}

// TestUnpackMissingLibrary: a program whose library is not there is an error.
func TestUnpackMissingLibrary(t *testing.T) {
	program, err := os.ReadFile("/bin/ls")
	if err != nil {
		t.Skip(err)
	}
	files := masters()
	files["usr/bin/ls"] = string(program)
	if _, err := Unpack(t.Context(), []string{pack(t, "ls", files)}); err == nil || !strings.Contains(err.Error(), "/usr/bin/ls needs libc.so.6, which no package has") {
		t.Errorf("Unpack = %v, want that libc is missing", err)
	}
}
