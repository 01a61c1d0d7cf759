package registry

import (
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func pemFile(t *testing.T, name, kind string, der []byte) string {
	t.Helper()
	return textFile(t, name, string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})))
}

func textFile(t *testing.T, name, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func der(t *testing.T, public crypto.PublicKey) []byte {
	t.Helper()
	out, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// newECDSA returns a private key, which needs no other way to be made.
func newECDSA(t *testing.T, curve elliptic.Curve) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func TestLoadKey(t *testing.T) {
	public, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{
		"P-256":   pemFile(t, "cosign.pub", "PUBLIC KEY", der(t, newECDSA(t, elliptic.P256()).Public())),
		"P-384":   pemFile(t, "cosign.pub", "PUBLIC KEY", der(t, newECDSA(t, elliptic.P384()).Public())),
		"Ed25519": pemFile(t, "cosign.pub", "PUBLIC KEY", der(t, public)),
		"RSA":     pemFile(t, "cosign.pub", "PUBLIC KEY", der(t, rsaKey.Public())),
		"PKCS #1": pemFile(t, "cosign.pub", "RSA PUBLIC KEY", x509.MarshalPKCS1PublicKey(&rsaKey.PublicKey)),
	}
	for name, file := range files {
		key, err := LoadKey(file)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if key.String() != file {
			t.Errorf("%s: String() = %q, want %q", name, key, file)
		}
	}
}

// shortRSA returns a key that is too short.
func shortRSA(t *testing.T) *rsa.PrivateKey {
	t.Helper()
	t.Setenv("GODEBUG", "rsa1024min=0")
	key, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func TestLoadKeySaysWhatIsWrong(t *testing.T) {
	private := newECDSA(t, elliptic.P256())
	ec, err := x509.MarshalECPrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	weak := newECDSA(t, elliptic.P224())
	exchange, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	one := string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der(t, private.Public())}))
	tests := map[string]struct{ file, want string }{
		"missing":              {filepath.Join(t.TempDir(), "cosign.pub"), "no such file"},
		"a folder":             {t.TempDir(), "is a directory"},
		"empty":                {textFile(t, "k", ""), "not PEM"},
		"DER":                  {textFile(t, "k", string(der(t, private.Public()))), "not PEM"},
		"cosign's private key": {pemFile(t, "k", "ENCRYPTED SIGSTORE PRIVATE KEY", []byte("{}")), "a private key"},
		"a private key":        {pemFile(t, "k", "EC PRIVATE KEY", ec), "keep the private one away"},
		"a certificate":        {pemFile(t, "k", "CERTIFICATE", []byte("x")), "openssl x509 -pubkey"},
		"two keys":             {textFile(t, "k", one+one), "each into a file of its own"},
		"an SSH key":           {textFile(t, "k", "ssh-ed25519 AAAA"), "not PEM"},
		"another PEM":          {pemFile(t, "k", "PGP PUBLIC KEY BLOCK", []byte("x")), "no public key"},
		"broken":               {pemFile(t, "k", "PUBLIC KEY", []byte("x")), "no public key"},
		"a curve too small":    {pemFile(t, "k", "PUBLIC KEY", der(t, weak.Public())), "curve P-224; use P-256"},
		"RSA too small":        {pemFile(t, "k", "PUBLIC KEY", der(t, shortRSA(t).Public())), "RSA with 1024 bits; use 2048"},
		"a key of ECDH":        {pemFile(t, "k", "PUBLIC KEY", der(t, exchange.PublicKey())), "*ecdh.PublicKey; use ECDSA"},
	}
	for name, test := range tests {
		_, err := LoadKey(test.file)
		if err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), test.file) {
			t.Errorf("%s: %v; want the file and %q", name, err, test.want)
		}
	}
}
