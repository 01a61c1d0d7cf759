package cacert

import (
	"bytes"
	"crypto/sha256"
	"encoding/pem"
	"errors"
	"io"
	"io/fs"
	"os"
)

// systemBundles is where distributions keep all their authorities in one file.
var systemBundles = []string{
	"/etc/ssl/certs/ca-certificates.crt",                // Debian, Ubuntu, Alpine, Gentoo
	"/etc/pki/tls/certs/ca-bundle.crt",                  // Fedora, RHEL and their kin
	"/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem", // the same, where the link above is missing
	"/etc/ca-certificates/extracted/tls-ca-bundle.pem",  // Arch
	"/etc/ssl/ca-bundle.pem",                            // SUSE
	"/etc/ssl/cert.pem",                                 // Alpine without ca-certificates
	"/etc/pki/tls/cacert.pem",                           // OpenELEC
}

// maxBundle is more than all authorities of the world.
const maxBundle = 8 << 20

// SystemBundle returns the authorities of the system, or of the image that this
// process runs in, as PEM; nil where there is none.
func SystemBundle() []byte {
	for _, name := range systemBundles {
		if text, err := ReadBundle(name); err == nil && len(Merge(text)) > 0 {
			return text
		}
	}
	return nil
}

// ReadBundle returns what the file holds, if it is a regular one of bearable size:
// anything may stand in its place in somebody's image.
func ReadBundle(name string) ([]byte, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, &fs.PathError{Op: "read", Path: name, Err: errors.New("no regular file")}
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxBundle+1))
	if err == nil && len(text) > maxBundle {
		err = &fs.PathError{Op: "read", Path: name, Err: errors.New("larger than any bundle of certificates")}
	}
	return text, err
}

// Merge returns the certificates of all texts in PEM form, each once, in their order,
// and nothing else that stands there. Without any it is empty.
func Merge(texts ...[]byte) []byte {
	var out bytes.Buffer
	seen := map[[sha256.Size]byte]bool{}
	for _, text := range texts {
		for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
			if sum := sha256.Sum256(block.Bytes); block.Type == "CERTIFICATE" && !seen[sum] {
				seen[sum] = true
				out.Write(pem.EncodeToMemory(&pem.Block{Type: block.Type, Bytes: block.Bytes}))
			}
		}
	}
	return out.Bytes()
}
