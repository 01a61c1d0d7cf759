// Package pki makes a cluster's certificates, keys and kubeconfig files.
package pki

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"

	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// validity is longer than any test cluster lives.
const validity = 365 * 24 * time.Hour

// An Authority signs certificates and keeps them, as NAME.crt and NAME.key, in
// one folder. Its own certificate is there as ca.crt.
type Authority struct {
	dir  string
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
}

// New makes an authority with a new key in dir.
func New(dir string) (*Authority, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	a := &Authority{dir: dir}
	tmpl := template("runnerd-cluster-ca", nil)
	tmpl.IsCA, tmpl.BasicConstraintsValid = true, true
	tmpl.KeyUsage |= x509.KeyUsageCertSign
	key, der, err := a.sign("ca", tmpl)
	if err != nil {
		return nil, err
	}
	a.key = key
	a.cert, err = x509.ParseCertificate(der)
	return a, err
}

// CAFile is the authority's certificate.
func (a *Authority) CAFile() string { return a.CertFile("ca") }

// CertFile is the certificate of name.
func (a *Authority) CertFile(name string) string { return filepath.Join(a.dir, name+".crt") }

// KeyFile is the private key of name.
func (a *Authority) KeyFile(name string) string { return filepath.Join(a.dir, name+".key") }

// Serving makes a server certificate for hosts, which are names or addresses.
func (a *Authority) Serving(name string, hosts ...string) error {
	tmpl := template(name, nil)
	tmpl.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	for _, h := range hosts {
		if ip := net.ParseIP(h); ip != nil {
			tmpl.IPAddresses = append(tmpl.IPAddresses, ip)
		} else {
			tmpl.DNSNames = append(tmpl.DNSNames, h)
		}
	}
	_, _, err := a.sign(name, tmpl)
	return err
}

// Client makes a client certificate for a Kubernetes user in groups.
func (a *Authority) Client(name, user string, groups ...string) error {
	tmpl := template(user, groups)
	tmpl.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	_, _, err := a.sign(name, tmpl)
	return err
}

// Kubeconfig makes a client certificate and writes a kubeconfig file with it.
func (a *Authority) Kubeconfig(file, server, name, user string, groups ...string) error {
	if err := a.Client(name, user, groups...); err != nil {
		return err
	}
	conf := clientcmdapi.NewConfig()
	cluster, auth := clientcmdapi.NewCluster(), clientcmdapi.NewAuthInfo()
	cluster.Server = server
	var err error
	if cluster.CertificateAuthorityData, err = os.ReadFile(a.CAFile()); err != nil {
		return err
	}
	if auth.ClientCertificateData, err = os.ReadFile(a.CertFile(name)); err != nil {
		return err
	}
	if auth.ClientKeyData, err = os.ReadFile(a.KeyFile(name)); err != nil {
		return err
	}
	context := clientcmdapi.NewContext()
	context.Cluster, context.AuthInfo = "runnerd", name
	conf.Clusters["runnerd"], conf.AuthInfos[name] = cluster, auth
	conf.Contexts["runnerd"], conf.CurrentContext = context, "runnerd"
	return clientcmd.WriteToFile(*conf, file)
}

// KeyPair makes a key without a certificate: name.key and name.pub.
func (a *Authority) KeyPair(name string) error {
	key, err := a.newKey(name)
	if err != nil {
		return err
	}
	pub, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return err
	}
	return writePEM(filepath.Join(a.dir, name+".pub"), "PUBLIC KEY", pub, 0o644)
}

// sign makes a key and a certificate for it; the first one, the authority's
// own, signs itself.
func (a *Authority) sign(name string, tmpl *x509.Certificate) (*ecdsa.PrivateKey, []byte, error) {
	key, err := a.newKey(name)
	if err != nil {
		return nil, nil, err
	}
	parent, signer := a.cert, a.key
	if parent == nil {
		parent, signer = tmpl, key
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, parent, key.Public(), signer)
	if err != nil {
		return nil, nil, fmt.Errorf("certificate %s: %w", name, err)
	}
	return key, der, writePEM(a.CertFile(name), "CERTIFICATE", der, 0o644)
}

func (a *Authority) newKey(name string) (*ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("key %s: %w", name, err)
	}
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("key %s: %w", name, err)
	}
	return key, writePEM(a.KeyFile(name), "EC PRIVATE KEY", der, 0o600)
}

func template(commonName string, groups []string) *x509.Certificate {
	serial, _ := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	now := time.Now()
	return &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: commonName, Organization: groups},
		NotBefore:    now.Add(-time.Hour), // for clocks that step back
		NotAfter:     now.Add(validity),
		KeyUsage:     x509.KeyUsageDigitalSignature,
	}
}

func writePEM(file, kind string, der []byte, mode os.FileMode) error {
	return os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), mode)
}
