package registry

import (
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// fixtureNames are the kinds of keys in testdata.
var fixtureNames = []string{"p256", "p384", "ed25519", "rsa"}

// What cosign has signed, with each kind of key and in both of its layouts.
func TestCosignsOwnSignatures(t *testing.T) {
	only := map[string]func(path string) bool{
		"classic": func(path string) bool { return !strings.Contains(path, "/referrers/") },
		"bundles": func(path string) bool { return !strings.HasSuffix(path, ".sig") },
	}
	registry := newRegistry()
	image := pushFixtures(t, listen(t, registry))
	for layout, serves := range only {
		h := listen(t, without(serves, registry))
		for _, name := range fixtureNames {
			t.Run(layout+"/"+name, func(t *testing.T) {
				key := testKey(t, name)
				got, err := client(t, h).Verify(t.Context(), h.name+"/group/app:v1", image, nil, []Key{key})
				if err != nil || got.String() != key.String() {
					t.Errorf("Verify = %q, %v; want %q", got, err, key)
				}
				_, err = client(t, h).Verify(t.Context(), h.name+"/group/app:v1", image, nil, []Key{newSigner(t, "others.pub").key})
				wantError(t, err, Unsigned, "4 signatures that the key", "does not fit")
			})
		}
	}
}

func TestCosignsSignatureOfAnIndex(t *testing.T) {
	h := listen(t, newRegistry())
	image := pushFixtures(t, h)
	c, name := client(t, h), h.name+"/group/app:all"
	index, err := c.Resolve(t.Context(), name, nil)
	if err != nil {
		t.Fatal(err)
	}
	if index == image {
		t.Fatalf("%s is the image, not the index", index)
	}
	if _, err := c.Verify(t.Context(), name, index, nil, []Key{testKey(t, "p256")}); err != nil {
		t.Error(err)
	}
	_, err = c.Verify(t.Context(), name, index, nil, []Key{testKey(t, "rsa")})
	wantError(t, err, Unsigned, "2 signatures that the key", "does not fit")
}

// An attestation by the right key is no signature; it is not even fetched.
func TestCosignsAttestationIsNoSignature(t *testing.T) {
	registry := newRegistry()
	image := pushFixtures(t, listen(t, registry))
	h := listen(t, without(func(path string) bool { return !strings.HasSuffix(path, ".sig") }, registry))
	_, err := client(t, h).Verify(t.Context(), h.name+"/group/app", image, nil, nil)
	wantError(t, err, Unsigned, "4 signatures")
	blobs := 0
	for _, request := range h.asked() {
		if strings.Contains(request, "/blobs/") {
			blobs++
		}
	}
	if blobs != 4 {
		t.Errorf("%d blobs were fetched, want those of the 4 signatures: %q", blobs, h.asked())
	}
}

// Images of many jobs are looked at in parallel, by the same keys.
func TestAClientIsSafeForConcurrentUse(t *testing.T) {
	h := listen(t, newRegistry())
	image := pushFixtures(t, h)
	c, keys := client(t, h), []Key{testKey(t, "rsa"), testKey(t, "p384")}
	var asking sync.WaitGroup
	for range 8 {
		asking.Go(func() {
			digest, err := c.Resolve(t.Context(), h.name+"/group/app:v1", nil)
			if err != nil || digest != image {
				t.Errorf("Resolve = %q, %v; want %q", digest, err, image)
			}
			if _, err := c.Verify(t.Context(), h.name+"/group/app:v1", image, nil, keys); err != nil {
				t.Error(err)
			}
		})
	}
	asking.Wait()
}

func testKey(t *testing.T, name string) Key {
	t.Helper()
	key, err := LoadKey(filepath.Join("testdata", name+".pub"))
	if err != nil {
		t.Fatal(err)
	}
	return key
}
