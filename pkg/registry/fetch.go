package registry

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// manifest reads an image manifest. An *Error among the errors comes from the
// registry.
func (s *session) manifest(ctx context.Context, ref name.Reference) (*v1.Manifest, error) {
	found, err := s.puller.Get(ctx, ref)
	if err != nil {
		return nil, s.fail(ctx, err)
	}
	manifest, err := v1.ParseManifest(bytes.NewReader(found.Manifest))
	if err != nil {
		return nil, fmt.Errorf("%s is no manifest: %w", ref.Identifier(), err)
	}
	return manifest, nil
}

// blob reads a small blob; its digest is checked on the way. An *Error among the
// errors comes from the registry.
func (s *session) blob(ctx context.Context, at v1.Descriptor) ([]byte, error) {
	if at.Size > maxAnswer {
		return nil, s.fail(ctx, errTooLarge)
	}
	layer, err := s.puller.Layer(ctx, s.digest(at.Digest.String()))
	if err != nil {
		return nil, s.fail(ctx, err)
	}
	reader, err := layer.Compressed()
	if err != nil {
		failed := s.fail(ctx, err)
		if failed.Kind == NotFound {
			return nil, fmt.Errorf("blob %s is not there", at.Digest)
		}
		return nil, failed
	}
	defer reader.Close()
	text, err := io.ReadAll(reader)
	if err != nil {
		return nil, s.fail(ctx, err)
	}
	return text, nil
}

// is reports whether err is an *Error of that kind.
func is(err error, kind Kind) bool {
	var failed *Error
	return errors.As(err, &failed) && failed.Kind == kind
}

// stops reports whether asking for more of the same is pointless.
func stops(err error) bool { return is(err, Unreachable) || is(err, Denied) }
