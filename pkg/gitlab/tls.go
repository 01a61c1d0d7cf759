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

func (t TLS) config(host string) (*tls.Config, error) {
	roots, err := cacert.FilePool(t.file(t.CAFile, host+".crt"))
	if err != nil {
		return nil, fmt.Errorf("CA file: %w", err)
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots}
	cert, key := t.file(t.CertFile, host+".auth.crt"), t.file(t.KeyFile, host+".auth.key")
	switch {
	case cert == "" && key == "":
		return config, nil
	case cert == "" || key == "":
		return nil, fmt.Errorf("client certificate %q and key %q: one is missing; give both or none", cert, key)
	}
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		return nil, fmt.Errorf("client certificate %q and key %q: %w", cert, key, err)
	}
	config.Certificates = []tls.Certificate{pair}
	return config, nil
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
