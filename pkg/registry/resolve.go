package registry

import (
	"context"
	"errors"
	"net/http"

	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"github.com/runnerd/runnerd/pkg/job"
)

// Resolve returns the digest ("sha256:…") that an image's name stands for now:
// that of the index where the tag names one, as the kubelet would pin it.
//
// The name is read as the kubelet reads it; a digest in it is returned without
// asking anybody whether it exists. Of the credentials the one for the image's
// registry is used, and none when there is none. Every error is an *[Error]; it
// wraps ctx's error if ctx has ended.
func (c *Client) Resolve(ctx context.Context, name string, credentials []job.Credential) (digest string, err error) {
	s, err := c.open("resolve", name, credentials)
	if err != nil {
		return "", err
	}
	if s.image.pinned != "" {
		return s.image.pinned, nil
	}
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	tag := s.image.repository.Tag(s.image.tag)
	head, err := s.puller.Head(ctx, tag)
	if err == nil {
		return head.Digest.String(), nil
	}
	if conclusive(ctx, err) {
		return "", s.fail(ctx, err)
	}
	// Some registries leave the digest out of an answer to HEAD, or know no HEAD.
	manifest, err := s.puller.Get(ctx, tag)
	if err != nil {
		return "", s.fail(ctx, err)
	}
	return manifest.Digest.String(), nil
}

// conclusive reports whether a GET would get no further than the HEAD before it.
func conclusive(ctx context.Context, err error) bool {
	var answer *transport.Error
	if !errors.As(err, &answer) {
		return ctx.Err() != nil || isNetwork(err)
	}
	switch answer.StatusCode {
	case http.StatusNotFound, http.StatusUnauthorized, http.StatusForbidden, http.StatusTooManyRequests:
		return true
	}
	return answer.StatusCode >= http.StatusInternalServerError && answer.StatusCode != http.StatusNotImplemented
}
