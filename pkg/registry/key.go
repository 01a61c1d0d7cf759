package registry

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/sigstore/sigstore/pkg/cryptoutils"
	"github.com/sigstore/sigstore/pkg/signature"
	"github.com/sigstore/sigstore/pkg/signature/options"
)

// maxKeyFile is far more than a PEM file with one public key needs, in bytes.
const maxKeyFile = 64 << 10

// A Key is a public key that signatures can be checked with: ECDSA (P-256,
// P-384, P-521), Ed25519, or RSA with PKCS #1 v1.5 (2048 bits or more).
// It is safe for concurrent use.
type Key struct {
	file      string
	verifiers []signature.Verifier // one fits: versions of cosign hash differently with one key
}

// String returns the name of the key's file, as it was given to LoadKey.
func (k Key) String() string { return k.file }

// LoadKey reads the PEM file of one public key, such as cosign.pub.
func LoadKey(path string) (Key, error) {
	file, err := os.Open(path)
	if err != nil {
		return Key{}, fmt.Errorf("public key: %w", err)
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, maxKeyFile))
	if err != nil {
		return Key{}, fmt.Errorf("public key: %w", err)
	}
	public, err := parsePublic(text)
	if err != nil {
		return Key{}, fmt.Errorf("public key %q: %w", path, err)
	}
	verifiers, err := verifiers(public)
	if err != nil {
		return Key{}, fmt.Errorf("public key %q: %w", path, err)
	}
	return Key{file: path, verifiers: verifiers}, nil
}

func parsePublic(text []byte) (crypto.PublicKey, error) {
	block, rest := pem.Decode(text)
	second, _ := pem.Decode(rest)
	switch {
	case block == nil:
		return nil, errors.New("not PEM; write a file that begins with -----BEGIN PUBLIC KEY-----, such as cosign.pub")
	case strings.HasSuffix(block.Type, "PRIVATE KEY"):
		return nil, fmt.Errorf("a private key (%q); name the public one, and keep the private one away from here", block.Type)
	case block.Type == "CERTIFICATE":
		return nil, errors.New("a certificate; extract its key with openssl x509 -pubkey -noout")
	case second != nil:
		return nil, errors.New("more than one key; write each into a file of its own")
	}
	public, err := cryptoutils.UnmarshalPEMToPublicKey(text)
	if err != nil {
		return nil, fmt.Errorf("no public key (%q): %w", block.Type, err)
	}
	return public, nil
}

func verifiers(public crypto.PublicKey) ([]signature.Verifier, error) {
	ways, err := ways(public)
	if err != nil {
		return nil, err
	}
	var list []signature.Verifier
	for _, way := range ways {
		v, err := signature.LoadVerifierWithOpts(public, way)
		if err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	return list, nil
}

// ways are those in which cosign signs with the key. Its older versions hash
// with SHA-256 whatever the curve, and newer ones as Sigstore's registry of
// algorithms says; Ed25519 signs the message in some, and its hash (ph) in
// others. A signature in any way can only come from the private key.
func ways(public crypto.PublicKey) ([]signature.LoadOption, error) {
	sha256 := options.WithHash(crypto.SHA256)
	switch key := public.(type) {
	case ed25519.PublicKey:
		return []signature.LoadOption{sha256, options.WithED25519ph()}, nil
	case *rsa.PublicKey:
		if bits := key.N.BitLen(); bits < 2048 {
			return nil, fmt.Errorf("RSA with %d bits; use 2048 or more", bits)
		}
		return []signature.LoadOption{sha256}, nil
	case *ecdsa.PublicKey:
		switch key.Curve {
		case elliptic.P256():
			return []signature.LoadOption{sha256}, nil
		case elliptic.P384():
			return []signature.LoadOption{sha256, options.WithHash(crypto.SHA384)}, nil
		case elliptic.P521():
			return []signature.LoadOption{sha256, options.WithHash(crypto.SHA512)}, nil
		}
		return nil, fmt.Errorf("ECDSA on curve %s; use P-256, P-384 or P-521", key.Params().Name)
	}
	return nil, fmt.Errorf("of type %T; use ECDSA, Ed25519 or RSA", public)
}

// signed reports whether the key's owner has signed the message.
func (k Key) signed(message, sig []byte) bool {
	for _, v := range k.verifiers {
		if v.VerifySignature(bytes.NewReader(sig), bytes.NewReader(message)) == nil {
			return true
		}
	}
	return false
}
