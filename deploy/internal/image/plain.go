package image

import (
	"context"
	"fmt"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/runnerd/runnerd/deploy/internal/debian"
)

// Plain is an image that is Debian's packages and nothing else.
type Plain struct {
	Name     string
	Packages []string // beside what is essential in Debian
	User     string   // uid:gid; "" is root
}

// Plain builds such an image for linux on an architecture. Its shell is its command.
func (o Options) Plain(ctx context.Context, p Plain, architecture string) (Built, error) {
	files, err := debian.Trixie.Fetch(ctx, o.Cache, architecture, p.Packages...)
	if err != nil {
		return Built{}, err
	}
	tree, err := debian.Unpack(ctx, files)
	if err != nil {
		return Built{}, fmt.Errorf("%s: %w", p.Name, err)
	}
	layer, err := treeLayer(tree)
	if err != nil {
		return Built{}, err
	}
	config := v1.Config{
		User: p.User, Cmd: []string{"/bin/sh"},
		Env: []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
	}
	return o.build(p.Name, architecture, "", config, tree.Packages, layer)
}
