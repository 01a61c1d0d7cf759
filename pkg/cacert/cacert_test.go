package cacert_test

import (
	"crypto/x509"
	"encoding/pem"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/runnerd/runnerd/pkg/cacert"
)

// authority returns a certificate that vouches for itself, in both forms.
func authority(t *testing.T) (*x509.Certificate, []byte) {
	t.Helper()
	server := httptest.NewTLSServer(nil)
	t.Cleanup(server.Close)
	cert := server.Certificate()
	return cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw})
}

func TestPool(t *testing.T) {
	cert, text := authority(t)
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, append([]byte("a comment\n"), text...), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, make := range map[string]func() (*x509.CertPool, error){
		"PEM":  func() (*x509.CertPool, error) { return cacert.Pool(text) },
		"file": func() (*x509.CertPool, error) { return cacert.FilePool(file) },
	} {
		pool, err := make()
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if _, err := cert.Verify(x509.VerifyOptions{Roots: pool}); err != nil {
			t.Errorf("%s: the certificate is not trusted: %v", name, err)
		}
		system, err := x509.SystemCertPool()
		if err != nil {
			t.Fatal(err)
		}
		if system.AddCert(cert); !pool.Equal(system) {
			t.Errorf("%s: the pool is not the system's and the certificate", name)
		}
	}
}

func TestNothingGiven(t *testing.T) {
	for name, make := range map[string]func() (*x509.CertPool, error){
		"PEM":  func() (*x509.CertPool, error) { return cacert.Pool(nil) },
		"file": func() (*x509.CertPool, error) { return cacert.FilePool("") },
	} {
		if pool, err := make(); pool != nil || err != nil {
			t.Errorf("%s: %v, %v, want the system's alone", name, pool, err)
		}
	}
}

func TestNoCertificate(t *testing.T) {
	if _, err := cacert.Pool([]byte("no certificate")); err == nil || !strings.Contains(err.Error(), "PEM") {
		t.Errorf("no PEM: %v", err)
	}
	for _, name := range []string{"/dev/null", filepath.Join(t.TempDir(), "gone.pem")} {
		if _, err := cacert.FilePool(name); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v, want an error that names the file", name, err)
		}
	}
}
