package registry

import (
	"bytes"
	"crypto"
	"crypto/elliptic"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/sigstore/sigstore/pkg/signature"
)

// A signer makes what cosign would not: signatures with something wrong.
type signer struct {
	signature.SignerVerifier
	key Key
}

func newSigner(t *testing.T, name string) signer {
	t.Helper()
	private := newECDSA(t, elliptic.P256())
	s, err := signature.LoadECDSASignerVerifier(private, crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	key, err := LoadKey(pemFile(t, name, "PUBLIC KEY", der(t, private.Public())))
	if err != nil {
		t.Fatal(err)
	}
	return signer{s, key}
}

func (s signer) sign(t *testing.T, message []byte) string {
	t.Helper()
	sig, err := s.SignMessage(bytes.NewReader(message))
	if err != nil {
		t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(sig)
}

func simplePayload(digest string) []byte {
	return fmt.Appendf(nil, `{"critical":{"identity":{"docker-reference":"elsewhere.example.com/app"},"image":{"docker-manifest-digest":%q},`+
		`"type":"cosign container image signature"},"optional":null}`, digest)
}

// layer is a payload with its signature, as a layer of the classic layout.
func (s signer) layer(t *testing.T, payload []byte) mutate.Addendum {
	t.Helper()
	return mutate.Addendum{
		Layer:       static.NewLayer(payload, simpleMediaType),
		Annotations: map[string]string{simpleAnnotation: s.sign(t, payload)},
	}
}

// pushSimple pushes layers to where the signatures of a digest are.
func pushSimple(t *testing.T, h *host, digest string, layers ...mutate.Addendum) {
	t.Helper()
	image, err := mutate.Append(mutate.MediaType(empty.Image, types.OCIManifestSchema1), layers...)
	if err != nil {
		t.Fatal(err)
	}
	push(t, h, repository(t, h).Tag("sha256-"+digest[len("sha256:"):]+".sig"), image)
}

func statement(predicateType string, digests ...string) []byte {
	type subject struct {
		Digest map[string]string `json:"digest"`
	}
	var subjects []subject
	for _, d := range digests {
		subjects = append(subjects, subject{map[string]string{"sha256": d[len("sha256:"):]}})
	}
	text, _ := json.Marshal(map[string]any{
		"_type": "https://in-toto.io/Statement/v1", "predicateType": predicateType, "subject": subjects, "predicate": map[string]any{},
	})
	return text
}

// bundle is a signed statement as a bundle.
func (s signer) bundle(t *testing.T, payloadType string, payload []byte) []byte {
	t.Helper()
	text, err := json.Marshal(map[string]any{
		"mediaType":            bundleMediaType,
		"verificationMaterial": map[string]any{"publicKey": map[string]any{"hint": "x"}},
		"dsseEnvelope": map[string]any{
			"payload": base64.StdEncoding.EncodeToString(payload), "payloadType": payloadType,
			"signatures": []any{map[string]any{"sig": s.sign(t, pae(payloadType, payload))}},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// pushBundle pushes a bundle that refers to a digest.
func pushBundle(t *testing.T, h *host, digest string, bundle []byte) {
	t.Helper()
	image, err := mutate.Append(mutate.MediaType(empty.Image, types.OCIManifestSchema1),
		mutate.Addendum{Layer: static.NewLayer(bundle, bundleMediaType)})
	if err != nil {
		t.Fatal(err)
	}
	hash, err := v1.NewHash(digest)
	if err != nil {
		t.Fatal(err)
	}
	refers := mutate.Subject(mutate.ConfigMediaType(image, bundleMediaType), v1.Descriptor{
		MediaType: types.OCIManifestSchema1, Digest: hash, Size: 1,
	}).(v1.Image)
	own, err := refers.Digest()
	if err != nil {
		t.Fatal(err)
	}
	var ref name.Reference = repository(t, h).Digest(own.String())
	push(t, h, ref, refers)
}
