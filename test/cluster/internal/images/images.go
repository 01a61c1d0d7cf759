// Package images builds the cluster's images, without Docker.
//
// All that is slow, which is the Debian root file system, is kept in the cache
// as a finished layer. The other layers are small and made anew each time, byte
// for byte the same.
package images

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"golang.org/x/sync/errgroup"
)

const path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// An Image has its name, without the registry, beside it.
type Image struct {
	Name string
	v1.Image
}

// A Builder builds images.
type Builder struct {
	Cache string    // finished layers are kept here
	Bin   string    // folder with the static programs "pause" and "hello"
	Log   io.Writer // gets one line for each thing that takes long
}

// Blobs is the folder with the cached layers' data, for the registry to serve.
func (b Builder) Blobs() string { return filepath.Join(b.Cache, "images", "blobs") }

// All builds every image.
func (b Builder) All(ctx context.Context) ([]Image, error) {
	debian, err := b.debian(ctx)
	if err != nil {
		return nil, err
	}
	busybox, err := b.busybox(ctx)
	if err != nil {
		return nil, err
	}
	sh, err := shell()
	if err != nil {
		return nil, err
	}
	ci, err := layer(nonroot())
	if err != nil {
		return nil, err
	}
	hello, err := b.static("hello")
	if err != nil {
		return nil, err
	}
	pause, err := b.Pause()
	if err != nil {
		return nil, err
	}
	bash := v1.Config{Env: []string{path}, Cmd: []string{"/bin/bash"}}
	ash := v1.Config{Env: []string{path}, Cmd: []string{"/bin/sh"}}
	user := v1.Config{Env: []string{path, "HOME=/home/ci"}, Cmd: []string{"/bin/bash"}, User: "1000:1000", WorkingDir: "/home/ci"}
	list := []struct {
		name   string
		config v1.Config
		layers []v1.Layer
	}{
		{"runnerd/helper:base", bash, []v1.Layer{debian}},
		{"test/debian:1", bash, []v1.Layer{debian}},
		{"test/nonroot:1", user, []v1.Layer{debian, ci}},
		{"test/busybox:1", ash, []v1.Layer{busybox}},
		{"test/sh:1", ash, []v1.Layer{sh}},
		{"test/distroless:1", v1.Config{Env: []string{path}, Entrypoint: []string{"/hello"}}, []v1.Layer{hello}},
	}
	images := []Image{pause}
	for _, i := range list {
		img, err := image(i.name, i.config, i.layers...)
		if err != nil {
			return nil, err
		}
		images = append(images, img)
	}
	return images, nil
}

// Pause builds the image of the container that holds a pod's namespaces.
func (b Builder) Pause() (Image, error) {
	l, err := b.static("pause")
	if err != nil {
		return Image{}, err
	}
	return image("local/pause:1", v1.Config{Env: []string{path}, Entrypoint: []string{"/pause"}}, l)
}

// Helper builds the helper image with the agent on top of Debian. Its tag
// follows from the agent's contents.
func (b Builder) Helper(ctx context.Context, agent string) (Image, error) {
	data, err := os.ReadFile(agent)
	if err != nil {
		return Image{}, fmt.Errorf("helper agent: %w", err)
	}
	debian, err := b.debian(ctx)
	if err != nil {
		return Image{}, err
	}
	l, err := layer([]entry{{name: "usr/bin/runnerd-agent", mode: 0o755, data: data}})
	if err != nil {
		return Image{}, err
	}
	config := v1.Config{Env: []string{path}, Entrypoint: []string{"/usr/bin/runnerd-agent"}}
	return image("runnerd/helper:"+digest(data)[:12], config, debian, l)
}

// busybox has every applet as a command of its own.
func (b Builder) busybox(ctx context.Context) (v1.Layer, error) {
	data, err := os.ReadFile("/bin/busybox")
	if err != nil {
		return nil, err
	}
	applets, err := exec.CommandContext(ctx, "/bin/busybox", "--list-full").Output()
	if err != nil {
		return nil, fmt.Errorf("busybox --list-full: %w", err)
	}
	entries := append(skeleton(), entry{name: "bin/busybox", mode: 0o755, data: data})
	for applet := range strings.FieldsSeq(string(applets)) {
		if applet != "bin/busybox" {
			entries = append(entries, entry{name: applet, link: "/bin/busybox"})
		}
	}
	return layer(entries)
}

// static has one program in its root.
func (b Builder) static(program string) (v1.Layer, error) {
	data, err := os.ReadFile(filepath.Join(b.Bin, program))
	if err != nil {
		return nil, fmt.Errorf("%w; build.sh makes it", err)
	}
	return layer(append(skeleton(), entry{name: program, mode: 0o755, data: data}))
}

func image(name string, config v1.Config, layers ...v1.Layer) (Image, error) {
	img := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	img, err := mutate.AppendLayers(img, layers...)
	if err != nil {
		return Image{}, fmt.Errorf("image %s: %w", name, err)
	}
	file, err := img.ConfigFile()
	if err != nil {
		return Image{}, fmt.Errorf("image %s: %w", name, err)
	}
	file = file.DeepCopy()
	file.OS, file.Architecture, file.Config = "linux", architecture, config
	if img, err = mutate.ConfigFile(img, file); err != nil {
		return Image{}, fmt.Errorf("image %s: %w", name, err)
	}
	return Image{Name: name, Image: img}, nil
}

// Push pushes images to the registry at host.
func Push(ctx context.Context, host string, auth authn.Authenticator, transport http.RoundTripper, images ...Image) error {
	g, ctx := errgroup.WithContext(ctx)
	for _, img := range images {
		g.Go(func() error {
			ref, err := name.ParseReference(host+"/"+img.Name, name.Insecure)
			if err != nil {
				return err
			}
			if err := remote.Write(ref, img, remote.WithContext(ctx), remote.WithAuth(auth), remote.WithTransport(transport)); err != nil {
				return fmt.Errorf("push %s: %w", ref, err)
			}
			return nil
		})
	}
	return g.Wait()
}
