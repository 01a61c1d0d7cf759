package registry

import (
	"context"
	"iter"
	"slices"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/runnerd/runnerd/pkg/job"
)

// A claim is one signature as it was found.
type claim struct {
	message []byte // what was signed
	sig     []byte
	payload []byte // the part of message that says what it is about

	// read returns the digests that a payload speaks of.
	read func(payload []byte) ([]string, error)
}

// Verify looks for a cosign signature of digest, in the repository of name, by
// one of keys, and returns the key. A signature by any of them is enough; others
// may lie beside it.
//
// As with cosign's own verification with a key, it is the digest that is signed:
// the name in a payload (docker-reference) is not compared with the image's, so
// that mirrored and renamed images stay signed. Nor is a transparency log, a
// time stamp or a certificate looked at.
//
// Every error is an *[Error]. Unsigned says what there was instead: nothing,
// signatures by others, signatures of another digest, or what could not be
// read. When a part of the registry could not be asked, and the rest has no
// fitting signature, the error says that and not Unsigned.
func (c *Client) Verify(ctx context.Context, name, digest string, credentials []job.Credential, keys []Key) (signedBy Key, err error) {
	s, err := c.open("verify", name, credentials)
	if err != nil {
		return Key{}, err
	}
	image, err := v1.NewHash(digest)
	if err != nil {
		return Key{}, s.errorf(BadName, "%q is no digest; use sha256: and 64 hexadecimal digits", digest)
	}
	if s.image.pinned != "" && s.image.pinned != digest {
		return Key{}, s.errorf(BadName, "the name has another digest than %s; ask for the one that runs", digest)
	}
	s.image.pinned = digest
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()

	var f findings
	for _, layout := range []func(context.Context, v1.Hash) iter.Seq2[claim, error]{s.simple, s.bundles} {
		for found, err := range layout(ctx, image) {
			if err != nil {
				f.note(err)
				continue
			}
			if key, ok := f.judge(found, digest, keys); ok {
				return key, nil
			}
		}
	}
	return Key{}, f.error(s, digest, keys)
}

// judge weighs one claim; what it is worth is kept for the error.
func (f *findings) judge(c claim, digest string, keys []Key) (Key, bool) {
	i := slices.IndexFunc(keys, func(k Key) bool { return k.signed(c.message, c.sig) })
	if i < 0 {
		f.foreign++
		return Key{}, false
	}
	digests, err := c.read(c.payload)
	switch {
	case err != nil:
		f.note(err)
	case !slices.Contains(digests, digest):
		f.elsewhere = append(f.elsewhere, elsewhere{keys[i], digests})
	default:
		return keys[i], true
	}
	return Key{}, false
}
