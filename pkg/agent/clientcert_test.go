package agent_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"log"
	"math/big"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// selfSigned is a client certificate that vouches for itself, and its key, as PEM.
func selfSigned(t *testing.T) (cert *x509.Certificate, certPEM, keyPEM string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "runner"}, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}, IsCA: true, BasicConstraintsValid: true,
	}, &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "runner"}}, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	if cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return cert, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})),
		string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}))
}

// git, for submodules and Git LFS as well, shows the certificate to a server
// that wants one. Afterwards the key is gone, and it never was in the project.
func TestClientCertificate(t *testing.T) {
	t.Parallel()
	client, cert, key := selfSigned(t)
	s := startGitServer(t, func(server *httptest.Server) {
		server.TLS = &tls.Config{ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: x509.NewCertPool(), MinVersion: tls.VersionTLS12}
		server.TLS.ClientCAs.AddCert(client)
		server.Config.ErrorLog = log.New(io.Discard, "", 0) // those who show none are part of the test
		server.StartTLS()
	})
	s.repo("group/lib", map[string]string{"lib.txt": "lib\n"})
	s.repo("group/project", map[string]string{"README": "hello\n"})
	sha := s.commit("group/project", nil, map[string]string{"lib": "group/lib"})
	p := newPod(t, "cat README lib/lib.txt", "grep -r 'PRIVATE' . || echo no key")
	p.helper.Sources = s.sources("group/project", sha)
	p.helper.Sources.Submodules.Strategy = "normal"
	p.helper.Sources.CA, p.helper.Sources.ClientCert, p.helper.Sources.ClientKey = s.ca, cert, key
	wantOutcome(t, p.run(), exited(0))
	p.wants("hello", "lib", "no key")
	if err := filepath.WalkDir(p.dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() || strings.HasPrefix(path, filepath.Join(p.dir, "plan")) {
			return err
		}
		text, err := os.ReadFile(path)
		if strings.Contains(string(text), key) {
			t.Errorf("%s holds the key", path)
		}
		return err
	}); err != nil {
		t.Error(err)
	}

	p = newPod(t, "cat README")
	p.helper.Sources = s.sources("group/project", sha)
	p.helper.Sources.CA = s.ca
	got := p.run()
	if got.ExitCode != 128 || !strings.Contains(got.Message, "git fetch") {
		t.Errorf("without a certificate: outcome %+v", got.Outcome)
	}
	// git may also hear of no more than that the connection is gone.
	if strings.Contains(p.text(), "TLS fatal alert") && !strings.Contains(got.Message, "tls-cert-file") {
		t.Errorf("the failure does not say what to do: %q", got.Message)
	}
}
