//go:build e2e

package e2e

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/sigstore/sigstore/pkg/signature"
)

func reference(t *testing.T, text string) name.Reference {
	t.Helper()
	ref, err := name.ParseReference(text, name.Insecure)
	if err != nil {
		t.Fatal(err)
	}
	return ref
}

func imageDigest(t *testing.T, text string) string {
	t.Helper()
	head, err := remote.Head(reference(t, text))
	if err != nil {
		t.Fatal(err)
	}
	return head.Digest.String()
}

// sign puts a cosign signature of an image beside it in its registry, takes it
// away again when the test ends, and returns the file of the public key.
func sign(t *testing.T, text string) string {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := signature.LoadECDSASigner(private, crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	digest := imageDigest(t, text)
	payload := fmt.Appendf(nil, `{"critical":{"identity":{"docker-reference":%q},"image":{"docker-manifest-digest":%q},"type":"cosign container image signature"},"optional":null}`,
		reference(t, text).Context().Name(), digest)
	signed, err := signer.SignMessage(bytes.NewReader(payload))
	if err != nil {
		t.Fatal(err)
	}
	image, err := mutate.Append(empty.Image, mutate.Addendum{
		Layer:       static.NewLayer(payload, "application/vnd.dev.cosign.simplesigning.v1+json"),
		Annotations: map[string]string{"dev.cosignproject.cosign/signature": base64.StdEncoding.EncodeToString(signed)},
	})
	if err != nil {
		t.Fatal(err)
	}
	tag := reference(t, text).Context().Tag(strings.Replace(digest, ":", "-", 1) + ".sig")
	push(t, tag, image)
	return writeKey(t, private)
}

func push(t *testing.T, tag name.Tag, image v1.Image) {
	t.Helper()
	if err := remote.Write(tag, image); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		// The connections would pass for goroutines left behind.
		if transport, ok := remote.DefaultTransport.(*http.Transport); ok {
			transport.CloseIdleConnections()
		}
		if err := remote.Delete(tag); err != nil {
			t.Errorf("delete %s: %v", tag, err)
		}
	})
}

func writeKey(t *testing.T, private *ecdsa.PrivateKey) string {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(&private.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "cosign.pub")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}
