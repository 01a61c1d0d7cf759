package gitlab

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/runnerd/runnerd/pkg/cacert"
)

// TLS names the files for TLS. Where a name is empty and CertDir is not, the
// file of GitLab's host in CertDir is used if it exists: <host>.crt,
// <host>.auth.crt and <host>.auth.key.
type TLS struct {
	CAFile   string // PEM; trusted beside the system's CAs
	CertFile string // PEM; client certificate
	KeyFile  string
	CertDir  string
}

// A clientPair is a client certificate with its key, as PEM; both are empty
// where there is none.
type clientPair struct{ cert, key string }

// config reads the files. The pair is what the config presents to the server:
// jobs present the same.
func (t TLS) config(host string) (*tls.Config, clientPair, error) {
	roots, err := cacert.FilePool(t.file(t.CAFile, host+".crt"))
	if err != nil {
		return nil, clientPair{}, fmt.Errorf("CA file: %w", err)
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots}
	pair, err := t.clientPair(host)
	if err != nil || pair == (clientPair{}) {
		return config, pair, err
	}
	cert, err := tls.X509KeyPair([]byte(pair.cert), []byte(pair.key))
	if err != nil {
		return nil, clientPair{}, fmt.Errorf("client certificate %q and key %q: %w", t.certFile(host), t.keyFile(host), err)
	}
	config.Certificates = []tls.Certificate{cert}
	return config, pair, nil
}

func (t TLS) certFile(host string) string { return t.file(t.CertFile, host+".auth.crt") }
func (t TLS) keyFile(host string) string  { return t.file(t.KeyFile, host+".auth.key") }

func (t TLS) clientPair(host string) (clientPair, error) {
	cert, key := t.certFile(host), t.keyFile(host)
	switch {
	case cert == "" && key == "":
		return clientPair{}, nil
	case cert == "" || key == "":
		return clientPair{}, fmt.Errorf("client certificate %q and key %q: one is missing; give both or none", cert, key)
	}
	certText, err := os.ReadFile(cert)
	if err != nil {
		return clientPair{}, fmt.Errorf("client certificate: %w", err)
	}
	keyText, err := os.ReadFile(key)
	if err != nil {
		return clientPair{}, fmt.Errorf("key of the client certificate: %w", err)
	}
	return clientPair{cert: string(certText), key: string(keyText)}, nil
}

// file returns the configured name, else the one in CertDir if it exists.
func (t TLS) file(configured, inDir string) string {
	if configured != "" || t.CertDir == "" {
		return configured
	}
	name := filepath.Join(t.CertDir, inDir)
	if _, err := os.Stat(name); errors.Is(err, fs.ErrNotExist) {
		return ""
	}
	return name
}

// caChain returns the CAs that vouch for a connection's server as PEM, or ""
// when the system trusts the server without help.
func caChain(state *tls.ConnectionState) string {
	if state == nil || len(state.VerifiedChains) == 0 || systemTrusts(state.PeerCertificates) {
		return ""
	}
	chain := state.VerifiedChains[0]
	if len(chain) > 1 {
		chain = chain[1:]
	}
	var out strings.Builder
	for _, cert := range chain {
		out.Write(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw}))
	}
	return out.String()
}

func systemTrusts(certs []*x509.Certificate) bool {
	if len(certs) == 0 {
		return false
	}
	between := x509.NewCertPool()
	for _, cert := range certs[1:] {
		between.AddCert(cert)
	}
	_, err := certs[0].Verify(x509.VerifyOptions{Intermediates: between})
	return err == nil
}
