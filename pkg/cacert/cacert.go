// Package cacert makes the set of certificate authorities that a connection
// trusts: the system's, and those that somebody has configured.
package cacert

import (
	"crypto/x509"
	"errors"
	"fmt"
	"os"
)

// errNone completes a sentence about what holds no certificate.
var errNone = errors.New("no certificate in PEM form")

// Pool returns the system's authorities and those in pem. Without any it is
// nil, which means the system's alone.
func Pool(pem []byte) (*x509.CertPool, error) {
	if len(pem) == 0 {
		return nil, nil
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool() // an image without any; those in pem will do
	}
	if !pool.AppendCertsFromPEM(pem) {
		return nil, errNone
	}
	return pool, nil
}

// FilePool is Pool of what the file holds. Without a name it is nil.
func FilePool(name string) (*x509.CertPool, error) {
	if name == "" {
		return nil, nil
	}
	pem, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	pool, err := Pool(pem)
	if err == nil && pool == nil {
		err = errNone
	}
	if err != nil {
		return nil, fmt.Errorf("%s holds %w", name, err)
	}
	return pool, nil
}
