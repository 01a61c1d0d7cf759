package image

import (
	"fmt"
	"os"
	"path/filepath"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

const (
	sbomType   = "application/vnd.cyclonedx+json"
	annotation = "org.opencontainers.image.ref.name"
)

// Save writes the images of one name, one for each platform, to an OCI layout at
// dir/<name>, in place of what was there. Each image's bill of materials refers to
// it, and lies beside the layout as <name>_<os>_<architecture>.cdx.json.
func Save(dir, version string, built []Built) error {
	name := built[0].Name
	at := filepath.Join(dir, name)
	if err := os.RemoveAll(at); err != nil {
		return err
	}
	path, err := layout.Write(at, empty.Index)
	if err != nil {
		return err
	}
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, b := range built {
		platform := b.Platform
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: b.Image, Descriptor: v1.Descriptor{Platform: &platform}})
	}
	if err := path.AppendIndex(index, layout.WithAnnotations(map[string]string{annotation: version})); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	for _, b := range built {
		artifact, err := b.bill()
		if err != nil {
			return fmt.Errorf("%s: bill of materials: %w", name, err)
		}
		if err := path.AppendImage(artifact); err != nil {
			return fmt.Errorf("%s: bill of materials: %w", name, err)
		}
		file := fmt.Sprintf("%s_%s_%s.cdx.json", name, b.Platform.OS, b.Platform.Architecture)
		if err := os.WriteFile(filepath.Join(dir, file), b.SBOM, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// bill is the artifact with the image's bill of materials; registries list it
// among the image's referrers.
func (b Built) bill() (v1.Image, error) {
	of, err := partial.Descriptor(b.Image)
	if err != nil {
		return nil, err
	}
	img := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), sbomType)
	img, err = mutate.AppendLayers(img, static.NewLayer(b.SBOM, sbomType))
	if err != nil {
		return nil, err
	}
	refers, ok := mutate.Subject(img, v1.Descriptor{MediaType: of.MediaType, Digest: of.Digest, Size: of.Size}).(v1.Image)
	if !ok {
		return nil, fmt.Errorf("no image")
	}
	return refers, nil
}
