package registry

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// FuzzBundle reads what anybody may push. Whatever is done to a bundle: what the
// key is taken to have signed is one of the statements that it has signed.
func FuzzBundle(f *testing.F) {
	key, err := LoadKey("testdata/p256.pub")
	if err != nil {
		f.Fatal(err)
	}
	var signed []string
	for _, text := range blobs(f) {
		f.Add(text)
		if c, err := parseBundle(text); err == nil && key.signed(c.message, c.sig) {
			signed = append(signed, string(c.payload))
		}
	}
	if len(signed) == 0 {
		f.Fatal("no bundle in testdata is signed by p256.pub")
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := parseBundle(text)
		if err != nil {
			return
		}
		if key.signed(c.message, c.sig) && !slices.Contains(signed, string(c.payload)) {
			t.Errorf("statement %q was never signed", c.payload)
		}
		_, _ = c.read(c.payload)
	})
}

func FuzzPayload(f *testing.F) {
	for _, text := range blobs(f) {
		f.Add(text)
		if c, err := parseBundle(text); err == nil {
			f.Add(c.payload)
		}
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if digests, err := readSimple(text); err == nil && len(digests) != 1 {
			t.Errorf("payload speaks of %d digests, want 1", len(digests))
		}
		if digests, err := readStatement(text); err != nil && digests != nil {
			t.Errorf("digests %q of a statement that is none: %v", digests, err)
		}
	})
}

// blobs are the manifests, payloads and bundles of testdata.
func blobs(f *testing.F) [][]byte {
	f.Helper()
	files, err := filepath.Glob("testdata/layout/blobs/sha256/*")
	if err != nil {
		f.Fatal(err)
	}
	var list [][]byte
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		list = append(list, text)
	}
	return list
}
