package cacert

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"software.sslmate.com/src/go-pkcs12"
)

// authority makes an authority's certificate, in PEM form.
func authority(t *testing.T, name string) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

func TestMerge(t *testing.T) {
	a, b := authority(t, "a"), authority(t, "b")
	got := Merge(nil, []byte("# a comment\n"), a, []byte("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"), bytes.ReplaceAll(b, []byte("\n"), []byte("\r\n")), a, []byte("rubbish"))
	if want := append(bytes.Clone(a), b...); !bytes.Equal(got, want) {
		t.Errorf("Merge =\n%s\nwant each certificate once, and nothing else:\n%s", got, want)
	}
}

func TestReadBundle(t *testing.T) {
	dir := t.TempDir()
	if _, err := ReadBundle(dir); err == nil {
		t.Error("a folder is read")
	}
	if _, err := ReadBundle(filepath.Join(dir, "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a missing file: %v", err)
	}
	large := filepath.Join(dir, "large")
	if err := os.WriteFile(large, make([]byte, maxBundle+1), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadBundle(large); err == nil || !strings.Contains(err.Error(), "larger") {
		t.Errorf("a file that is too large: %v", err)
	}
}

// TestTrustStore: the certificates come back, two of one name as well; and Java's own
// tool, where there is one, lists them.
func TestTrustStore(t *testing.T) {
	store, err := TrustStore(bytes.Join([][]byte{authority(t, "same"), authority(t, "same"), []byte("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")}, nil))
	if err != nil {
		t.Fatal(err)
	}
	certs, err := pkcs12.DecodeTrustStore(store, TrustStorePassword)
	if err != nil || len(certs) != 2 || certs[0].Subject.CommonName != "same" {
		t.Errorf("%d certificates (%v), want 2", len(certs), err)
	}
	if _, err := TrustStore(nil); err == nil {
		t.Error("a truststore of nothing is made")
	}
	keytool, err := exec.LookPath("keytool")
	if err != nil {
		t.Skip("keytool is not installed; Debian's default-jre-headless has it")
	}
	file := filepath.Join(t.TempDir(), "store.p12")
	if err := os.WriteFile(file, store, 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), keytool, "-list", "-keystore", file, "-storepass", TrustStorePassword).CombinedOutput()
	if err != nil || strings.Count(string(out), "trustedCertEntry") != 2 {
		t.Errorf("keytool -list: %v\n%s", err, out)
	}
}
