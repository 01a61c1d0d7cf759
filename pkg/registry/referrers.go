package registry

import (
	"context"
	"errors"
	"fmt"
	"iter"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

const (
	emptyMediaType      = "application/vnd.oci.empty.v1+json"
	predicateAnnotation = "dev.sigstore.bundle.predicateType"
)

// bundles finds the signatures of the newer layout: image manifests that refer
// to the image, each with a bundle as its layer. They are listed by the
// referrers API or, where the registry has none, by the index at the tag
// sha256-<hex>. Anybody who may push can have something listed there; it is the
// signed statement that binds a bundle to the image.
func (s *session) bundles(ctx context.Context, image v1.Hash) iter.Seq2[claim, error] {
	return func(yield func(claim, error) bool) {
		list, err := s.referrers(ctx, image)
		if err != nil {
			yield(claim{}, err)
			return
		}
		if more := len(list) - maxSignatures; more > 0 {
			list = list[:maxSignatures]
			if !yield(claim{}, moreError(more)) {
				return
			}
		}
		for _, d := range list {
			found, err := s.bundle(ctx, d)
			if errors.Is(err, errNoBundle) {
				continue
			}
			if !yield(found, err) || stops(err) {
				return
			}
		}
	}
}

// referrers lists the manifests that may hold a signature.
func (s *session) referrers(ctx context.Context, image v1.Hash) ([]v1.Descriptor, error) {
	index, err := remote.Referrers(s.digest(image.String()), remote.Reuse(s.puller), remote.WithContext(ctx))
	if err != nil {
		return nil, s.fail(ctx, err)
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		return nil, fmt.Errorf("list of referrers is no index: %w", err)
	}
	var list []v1.Descriptor
	for _, d := range manifest.Manifests {
		if mayHoldSignature(d) {
			list = append(list, d)
		}
	}
	return list, nil
}

// mayHoldSignature keeps attestations and SBOMs, of which an image may have
// many, from being fetched. Some registries give the type of a manifest's config
// for its own.
func mayHoldSignature(d v1.Descriptor) bool {
	switch d.ArtifactType {
	case bundleMediaType, emptyMediaType, "":
	default:
		return false
	}
	predicate := d.Annotations[predicateAnnotation]
	return predicate == "" || predicate == signPredicateType
}

// errNoBundle is about a referrer that is something else.
var errNoBundle = errors.New("referrer is no bundle")

func (s *session) bundle(ctx context.Context, referrer v1.Descriptor) (claim, error) {
	manifest, err := s.manifest(ctx, s.digest(referrer.Digest.String()))
	if err != nil {
		return claim{}, err
	}
	if len(manifest.Layers) != 1 || manifest.Layers[0].MediaType != types.MediaType(bundleMediaType) {
		return claim{}, errNoBundle
	}
	text, err := s.blob(ctx, manifest.Layers[0])
	if err != nil {
		return claim{}, err
	}
	return parseBundle(text)
}
