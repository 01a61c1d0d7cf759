package registry

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"iter"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/sigstore/sigstore/pkg/signature/payload"
)

// The classic layout: https://github.com/sigstore/cosign/blob/main/specs/SIGNATURE_SPEC.md
const (
	simpleMediaType  = types.MediaType("application/vnd.dev.cosign.simplesigning.v1+json")
	simpleAnnotation = "dev.cosignproject.cosign/signature"
)

// simple finds the signatures of the classic layout: the tag sha256-<hex>.sig in
// the image's own repository names an image manifest, each of whose layers is a
// payload with its signature in an annotation.
func (s *session) simple(ctx context.Context, image v1.Hash) iter.Seq2[claim, error] {
	return func(yield func(claim, error) bool) {
		tag := s.image.repository.Tag(image.Algorithm + "-" + image.Hex + ".sig")
		manifest, err := s.manifest(ctx, tag)
		if err != nil {
			if !is(err, NotFound) {
				yield(claim{}, err)
			}
			return
		}
		layers := manifest.Layers
		if more := len(layers) - maxSignatures; more > 0 {
			layers = layers[more:] // cosign appends: the last ones are the newest
			if !yield(claim{}, moreError(more)) {
				return
			}
		}
		for _, layer := range layers {
			found, err := s.simpleClaim(ctx, layer)
			if !yield(found, err) || stops(err) {
				return
			}
		}
	}
}

func (s *session) simpleClaim(ctx context.Context, layer v1.Descriptor) (claim, error) {
	encoded := layer.Annotations[simpleAnnotation]
	switch {
	case layer.MediaType != simpleMediaType:
		return claim{}, fmt.Errorf("media type %q is not %s", layer.MediaType, simpleMediaType)
	case encoded == "":
		return claim{}, errors.New("annotation " + simpleAnnotation + " is missing")
	}
	sig, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return claim{}, fmt.Errorf("annotation %s: %w", simpleAnnotation, err)
	}
	text, err := s.blob(ctx, layer)
	if err != nil {
		return claim{}, err
	}
	return claim{message: text, sig: sig, payload: text, read: readSimple}, nil
}

// readSimple returns the digest of a simple-signing payload.
func readSimple(text []byte) ([]string, error) {
	var p payload.SimpleContainerImage
	if err := json.Unmarshal(text, &p); err != nil {
		return nil, fmt.Errorf("payload: %w", err)
	}
	if p.Critical.Type != payload.CosignSignatureType {
		return nil, fmt.Errorf("payload has type %q, not %q", p.Critical.Type, payload.CosignSignatureType)
	}
	return []string{p.Critical.Image.DockerManifestDigest}, nil
}
