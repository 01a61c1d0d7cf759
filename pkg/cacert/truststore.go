package cacert

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"

	"software.sslmate.com/src/go-pkcs12"
)

// TrustStorePassword is what Java takes where nothing is said. It hides nothing:
// the certificates are public.
const TrustStorePassword = pkcs12.DefaultPassword

// TrustStore returns the certificates of a text in PEM form as a PKCS #12 file that
// Java takes for a truststore. What Java could not parse is left out; the error says
// that nothing is left.
func TrustStore(text []byte) ([]byte, error) {
	var entries []pkcs12.TrustStoreEntry
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		cert, err := x509.ParseCertificate(block.Bytes)
		if block.Type != "CERTIFICATE" || err != nil {
			continue
		}
		// Java keeps one certificate of a name.
		entries = append(entries, pkcs12.TrustStoreEntry{Cert: cert, FriendlyName: fmt.Sprintf("runnerd-%03d", len(entries)+1)})
	}
	if len(entries) == 0 {
		return nil, errNone
	}
	// The older form is read by every Java that there is.
	return pkcs12.LegacyDES.EncodeTrustStoreEntries(entries, TrustStorePassword)
}
