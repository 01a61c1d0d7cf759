package boot

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strings"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"golang.org/x/sync/errgroup"

	"github.com/runnerd/runnerd/test/cluster/internal/images"
	"github.com/runnerd/runnerd/test/cluster/internal/node"
	"github.com/runnerd/runnerd/test/cluster/internal/state"
)

// load pushes all images to the registries and gives containerd the pause
// image, which it wants to have without a pull.
func (s *Supervisor) load(ctx context.Context) error {
	all, err := s.builder.All(ctx)
	if err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return PushAll(ctx, http.DefaultTransport, all...) })
	g.Go(func() error { return s.importPause(ctx) })
	return g.Wait()
}

// PushAll pushes images to both registries; those stand for a public and a
// private one, with the same images.
func PushAll(ctx context.Context, transport http.RoundTripper, all ...images.Image) error {
	if err := images.Push(ctx, state.Registry, authn.Anonymous, transport, all...); err != nil {
		return err
	}
	// After the other one: what that one has is not uploaded again.
	auth := &authn.Basic{Username: state.RegistryUser, Password: state.RegistryPassword}
	return images.Push(ctx, state.AuthRegistry, auth, transport, all...)
}

func (s *Supervisor) importPause(ctx context.Context) error {
	pause, err := s.builder.Pause()
	if err != nil {
		return err
	}
	ref, err := name.ParseReference(node.PauseImage)
	if err != nil {
		return err
	}
	file := s.node.Path("pause.tar")
	if err := tarball.WriteToFile(file, ref, pause); err != nil {
		return fmt.Errorf("pause image: %w", err)
	}
	defer os.Remove(file)
	cmd := exec.CommandContext(ctx, "ctr", "--address", s.node.ContainerdSocket(), "--namespace", "k8s.io", "images", "import", file)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("pause image: ctr import: %w: %s", err, strings.TrimSpace(string(out)))
	}
	return nil
}
