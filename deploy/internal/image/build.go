// Package image builds runnerd's images and their bills of materials, without
// Docker, as OCI layouts on disk, and pushes them from there.
package image

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/runnerd/runnerd/deploy/internal/debian"
	"github.com/runnerd/runnerd/deploy/internal/sbom"
)

// Options say what to build.
type Options struct {
	Version  string
	Revision string
	Created  time.Time // of the commit: the same source makes the same images
	Programs string    // folder with linux_<architecture>/runnerd and runnerd-agent
	Cache    string    // folder where packages are kept
}

// The images.
const (
	Daemon = "runnerd"
	Helper = "runnerd-helper"
)

// user is who the daemon runs as: a number, so that runAsNonRoot can be checked.
const user = "65532:65532"

// A Built is one image for one platform.
type Built struct {
	Name     string
	Platform v1.Platform
	Image    v1.Image
	SBOM     []byte
}

// Build builds both images for linux on an architecture ("amd64", "arm64").
func Build(ctx context.Context, o Options, architecture string) ([]Built, error) {
	files, err := debian.Trixie.Fetch(ctx, o.Cache, architecture, "git", "git-lfs", "ca-certificates", "bash")
	if err != nil {
		return nil, err
	}
	tree, err := debian.Unpack(ctx, files)
	if err != nil {
		return nil, err
	}
	daemon, err := o.daemon(architecture, tree.Authorities())
	if err != nil {
		return nil, fmt.Errorf("%s: %w", Daemon, err)
	}
	helper, err := o.helper(architecture, tree)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", Helper, err)
	}
	return []Built{daemon, helper}, nil
}

// daemon is the program, the certificates, and nobody's shell: what
// deploy/runnerd.Dockerfile makes.
func (o Options) daemon(architecture string, authorities []byte) (Built, error) {
	program, data, err := o.program(architecture, "runnerd")
	if err != nil {
		return Built{}, err
	}
	layer, err := files(
		entry{name: "etc/"}, entry{name: "etc/ssl/"}, entry{name: "etc/ssl/certs/"},
		entry{name: "etc/ssl/certs/ca-certificates.crt", data: authorities},
		entry{name: "etc/passwd", data: []byte("runnerd:x:65532:65532:runnerd:/:/sbin/nologin\n")},
		entry{name: "etc/group", data: []byte("runnerd:x:65532:\n")},
		entry{name: "etc/runnerd/", mode: 0o700, owner: 65532},
		entry{name: "tmp/", mode: 0o1777},
		entry{name: "usr/"}, entry{name: "usr/bin/"},
		entry{name: "usr/bin/runnerd", mode: 0o755, data: data},
	)
	if err != nil {
		return Built{}, err
	}
	config := v1.Config{
		User: user, Entrypoint: []string{"/usr/bin/runnerd"}, Cmd: []string{"run"},
		Env:          []string{"PATH=/usr/bin"},
		ExposedPorts: map[string]struct{}{"9252/tcp": {}},
	}
	return o.build(Daemon, architecture, program, config, nil, layer)
}

// helper is git and the agent, on Debian: what deploy/helper.Dockerfile makes. It
// runs as root where nothing else is said, because it hands the checkout over to
// the user of the job's image; a pod's security context makes it another user.
func (o Options) helper(architecture string, tree *debian.Tree) (Built, error) {
	program, data, err := o.program(architecture, "runnerd-agent")
	if err != nil {
		return Built{}, err
	}
	tree.Put("etc/gitconfig", 0o644, []byte(lfs))
	system, err := treeLayer(tree)
	if err != nil {
		return Built{}, err
	}
	agent, err := files(entry{name: "usr/bin/runnerd-agent", mode: 0o755, data: data})
	if err != nil {
		return Built{}, err
	}
	config := v1.Config{
		Entrypoint: []string{"/usr/bin/runnerd-agent"}, Cmd: []string{"version"},
		Env: []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
	}
	return o.build(Helper, architecture, program, config, tree.Packages, system, agent)
}

func treeLayer(tree *debian.Tree) (v1.Layer, error) {
	return tarball.LayerFromOpener(func() (io.ReadCloser, error) {
		r, w := io.Pipe()
		go func() { w.CloseWithError(tree.Write(w)) }()
		return r, nil
	}, tarball.WithMediaType(types.OCILayer), tarball.WithCompressedCaching)
}

// lfs is what `git lfs install --system --skip-repo` writes.
const lfs = `[filter "lfs"]
	clean = git-lfs clean -- %f
	smudge = git-lfs smudge -- %f
	process = git-lfs filter-process
	required = true
`

func (o Options) program(architecture, name string) (path string, data []byte, err error) {
	path = filepath.Join(o.Programs, "linux_"+architecture, name)
	data, err = os.ReadFile(path)
	return path, data, err
}

func (o Options) build(name, architecture, program string, config v1.Config, packages []debian.Package, layers ...v1.Layer) (Built, error) {
	b := Built{Name: name, Platform: v1.Platform{OS: "linux", Architecture: architecture}}
	config.Labels = map[string]string{
		"org.opencontainers.image.title":    name,
		"org.opencontainers.image.version":  o.Version,
		"org.opencontainers.image.revision": o.Revision,
		"org.opencontainers.image.licenses": "Apache-2.0",
	}
	img := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	img, err := mutate.AppendLayers(img, layers...)
	if err != nil {
		return b, err
	}
	file, err := img.ConfigFile()
	if err != nil {
		return b, err
	}
	file = file.DeepCopy()
	file.OS, file.Architecture, file.Config, file.Created = "linux", architecture, config, v1.Time{Time: o.Created.UTC()}
	if b.Image, err = mutate.ConfigFile(img, file); err != nil {
		return b, err
	}
	b.SBOM, err = sbom.Encode(sbom.Image{
		Name: name, Version: o.Version, Platform: b.Platform.String(), Created: o.Created,
		Program: program, Release: debian.Trixie, Packages: packages,
	})
	return b, err
}

// An entry is a file of a layer, or a folder when its name ends in a slash.
type entry struct {
	name  string
	mode  int64 // 0: 0644, or 0755 of a folder
	owner int
	data  []byte
}

// files packs a layer, without times: equal entries make equal layers.
func files(entries ...entry) (v1.Layer, error) {
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	for _, e := range entries {
		h := &tar.Header{Typeflag: tar.TypeReg, Name: e.name, Mode: 0o644, Uid: e.owner, Gid: e.owner, Size: int64(len(e.data))}
		if strings.HasSuffix(e.name, "/") {
			h.Typeflag, h.Mode = tar.TypeDir, 0o755
		}
		if e.mode != 0 {
			h.Mode = e.mode
		}
		if err := w.WriteHeader(h); err != nil {
			return nil, err
		}
		if _, err := w.Write(e.data); err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	open := func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(buf.Bytes())), nil }
	return tarball.LayerFromOpener(open, tarball.WithMediaType(types.OCILayer), tarball.WithCompressedCaching)
}
