package debian

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path"
	"slices"
	"strings"
)

// A Package is what a file says of itself.
type Package struct {
	Name, Version, Architecture string
	Maintainer                  string
	control                     string // all of it, in dpkg's form
}

// A Tree is a root file system in memory.
type Tree struct {
	Packages []Package
	files    map[string]file
}

type file struct {
	header tar.Header
	data   []byte
}

// Unpack returns the tree of the packages in the files, as if they had been
// installed, with what their scripts would have made and a program needs.
func Unpack(ctx context.Context, files []string) (*Tree, error) {
	t := &Tree{files: map[string]file{}}
	for _, dir := range []string{"bin", "sbin", "lib"} {
		t.link(dir, "usr/"+dir)
	}
	for _, f := range files {
		if err := t.add(ctx, f); err != nil {
			return nil, fmt.Errorf("%s: %w", path.Base(f), err)
		}
	}
	if err := t.configure(); err != nil {
		return nil, err
	}
	return t, t.check()
}

// add puts a package into the tree.
func (t *Tree) add(ctx context.Context, name string) error {
	control, err := exec.CommandContext(ctx, "dpkg-deb", "--field", name).Output()
	if err != nil {
		return fmt.Errorf("dpkg-deb: %w", err)
	}
	field := func(key string) string {
		for line := range strings.Lines(string(control)) {
			if value, ok := strings.CutPrefix(line, key+": "); ok {
				return strings.TrimSpace(value)
			}
		}
		return ""
	}
	t.Packages = append(t.Packages, Package{
		Name: field("Package"), Version: field("Version"), Architecture: field("Architecture"),
		Maintainer: field("Maintainer"), control: string(control),
	})
	cmd := exec.CommandContext(ctx, "dpkg-deb", "--fsys-tarfile", name)
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	err = t.read(tar.NewReader(out))
	if err == nil {
		_, err = io.Copy(io.Discard, out) // what follows the archive's end, or dpkg-deb is told of a broken pipe
	}
	return errors.Join(err, cmd.Wait())
}

func (t *Tree) read(r *tar.Reader) error {
	for {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		name := merged(h.Name)
		if name == "" || left(name) {
			continue
		}
		if old, ok := t.files[name]; ok && h.Typeflag == tar.TypeDir && old.header.Typeflag != tar.TypeReg {
			continue // the first one counts, also when it is a link to a folder
		}
		data, err := io.ReadAll(r)
		if err != nil {
			return err
		}
		f := file{data: data, header: tar.Header{Typeflag: h.Typeflag, Linkname: h.Linkname, Mode: h.Mode, Uid: h.Uid, Gid: h.Gid, Size: int64(len(data))}}
		if h.Typeflag == tar.TypeLink {
			f.header.Linkname = merged(h.Linkname)
		}
		t.files[name] = f
	}
}

// merged is the name of a file where /bin, /sbin and /lib are links into /usr.
func merged(name string) string {
	name = strings.TrimPrefix(path.Clean("/"+name), "/")
	top, _, below := strings.Cut(name, "/")
	if below && slices.Contains([]string{"bin", "sbin", "lib", "lib64"}, top) {
		name = "usr/" + name
	}
	return name
}

// left tells what no program in a container needs. Licences stay.
func left(name string) bool {
	for _, dir := range []string{"usr/share/man/", "usr/share/info/", "usr/share/locale/", "usr/share/lintian/", "usr/share/bug/", "usr/share/i18n/", "usr/share/zoneinfo/"} {
		if strings.HasPrefix(name, dir) {
			return true
		}
	}
	if strings.HasPrefix(name, "usr/share/doc/") {
		return path.Base(name) != "copyright" && strings.Count(name, "/") > 3
	}
	return strings.Contains(name, "/gconv/") && !strings.Contains(path.Base(name), "UTF")
}

func (t *Tree) dir(name string, mode int64) {
	t.files[name] = file{header: tar.Header{Typeflag: tar.TypeDir, Mode: mode}}
}

func (t *Tree) link(name, target string) {
	t.files[name] = file{header: tar.Header{Typeflag: tar.TypeSymlink, Linkname: target, Mode: 0o777}}
}

// Put adds a file.
func (t *Tree) Put(name string, mode int64, data []byte) {
	t.files[name] = file{data: data, header: tar.Header{Typeflag: tar.TypeReg, Mode: mode, Size: int64(len(data))}}
}
