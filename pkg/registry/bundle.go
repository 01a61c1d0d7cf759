package registry

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// A signature as a Sigstore bundle with a DSSE envelope around an in-toto
// statement.
//
// https://github.com/sigstore/cosign/blob/main/specs/BUNDLE_SPEC.md
// https://github.com/secure-systems-lab/dsse/blob/master/protocol.md
// https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md
const (
	bundleMediaType   = "application/vnd.dev.sigstore.bundle.v0.3+json"
	statementType     = "application/vnd.in-toto+json"
	signPredicateType = "https://sigstore.dev/cosign/sign/v1"
)

// parseBundle takes a bundle apart. What else is in it (the key's hint, entries
// of a log, time stamps) is not looked at.
func parseBundle(text []byte) (claim, error) {
	var b struct {
		MediaType string
		Envelope  *struct {
			Payload     string
			PayloadType string
			Signatures  []struct{ Sig string }
		} `json:"dsseEnvelope"`
	}
	if err := json.Unmarshal(text, &b); err != nil {
		return claim{}, fmt.Errorf("bundle: %w", err)
	}
	switch {
	case b.MediaType != bundleMediaType:
		return claim{}, fmt.Errorf("bundle has media type %q, not %s", b.MediaType, bundleMediaType)
	case b.Envelope == nil:
		return claim{}, errors.New("bundle has no dsseEnvelope")
	case b.Envelope.PayloadType != statementType:
		return claim{}, fmt.Errorf("bundle has payload type %q, not %s", b.Envelope.PayloadType, statementType)
	case len(b.Envelope.Signatures) != 1:
		return claim{}, fmt.Errorf("bundle has %d signatures, not 1", len(b.Envelope.Signatures))
	}
	payload, err := base64.StdEncoding.DecodeString(b.Envelope.Payload)
	if err != nil {
		return claim{}, fmt.Errorf("bundle's payload: %w", err)
	}
	sig, err := base64.StdEncoding.DecodeString(b.Envelope.Signatures[0].Sig)
	if err != nil {
		return claim{}, fmt.Errorf("bundle's signature: %w", err)
	}
	return claim{message: pae(statementType, payload), sig: sig, payload: payload, read: readStatement}, nil
}

// pae is DSSE's pre-authentication encoding: what is signed in place of a
// payload, so that its type is signed too.
func pae(payloadType string, payload []byte) []byte {
	return fmt.Appendf(nil, "DSSEv1 %d %s %d %s", len(payloadType), payloadType, len(payload), payload)
}

// readStatement returns the digests of what a statement is about, if it is
// cosign's for a signature. The same keys sign other statements about an image,
// such as that tests have failed.
func readStatement(text []byte) ([]string, error) {
	var s struct {
		Type          string `json:"_type"`
		PredicateType string
		Subject       []struct{ Digest map[string]string }
	}
	if err := json.Unmarshal(text, &s); err != nil {
		return nil, fmt.Errorf("statement: %w", err)
	}
	switch {
	case !strings.HasPrefix(s.Type, "https://in-toto.io/Statement/v"):
		return nil, fmt.Errorf("statement has type %q, not https://in-toto.io/Statement/v1", s.Type)
	case s.PredicateType != signPredicateType:
		return nil, fmt.Errorf("statement attests %q, not %s", s.PredicateType, signPredicateType)
	}
	var digests []string
	for _, subject := range s.Subject {
		for algorithm, hex := range subject.Digest {
			digests = append(digests, algorithm+":"+hex)
		}
	}
	return digests, nil
}
