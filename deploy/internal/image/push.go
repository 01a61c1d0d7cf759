package image

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// Push sends the images of these names, as [Save] wrote them below dir, to <to>/<name>:<version>,
// with their bills of materials, and returns the references. Credentials come from
// ~/.docker/config.json. With insecure the registry may speak http.
func Push(ctx context.Context, dir, to string, insecure bool, names ...string) ([]string, error) {
	var refs []string
	for _, image := range names {
		ref, err := push(ctx, filepath.Join(dir, image), to+"/"+image, insecure)
		if err != nil {
			return nil, fmt.Errorf("push %s: %w", image, err)
		}
		refs = append(refs, ref)
	}
	return refs, nil
}

func push(ctx context.Context, dir, to string, insecure bool) (string, error) {
	var options []name.Option
	if insecure {
		options = append(options, name.Insecure)
	}
	repository, err := name.NewRepository(to, options...)
	if err != nil {
		return "", err
	}
	path, err := layout.FromPath(dir)
	if err != nil {
		return "", fmt.Errorf("%w; build the images first", err)
	}
	all, err := path.ImageIndex()
	if err != nil {
		return "", err
	}
	manifest, err := all.IndexManifest()
	if err != nil {
		return "", err
	}
	access := []remote.Option{remote.WithContext(ctx), remote.WithAuthFromKeychain(authn.DefaultKeychain)}
	var tag name.Tag
	for _, m := range manifest.Manifests {
		if m.MediaType.IsIndex() {
			index, err := all.ImageIndex(m.Digest)
			if err != nil {
				return "", err
			}
			tag = repository.Tag(m.Annotations[annotation])
			if err := remote.WriteIndex(tag, index, access...); err != nil {
				return "", err
			}
			continue
		}
		bill, err := all.Image(m.Digest)
		if err != nil {
			return "", err
		}
		if err := remote.Write(repository.Digest(m.Digest.String()), bill, access...); err != nil {
			return "", err
		}
	}
	return tag.Name(), nil
}
