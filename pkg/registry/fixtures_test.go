//go:build fixtures

package registry

import (
	"archive/tar"
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

var cosign = flag.String("cosign", "", "make testdata anew, with the cosign at this path")

// TestMakeFixtures is what scripts/cosign-fixtures runs. Its keys are thrown
// away; only what verifies their signatures stays.
func TestMakeFixtures(t *testing.T) {
	if *cosign == "" {
		t.Fatal("-cosign: missing; run scripts/cosign-fixtures")
	}
	h := listen(t, newRegistry())
	image := fixture(t)
	index := mutate.AppendManifests(empty.Index, mutate.IndexAddendum{Add: image})
	push(t, h, repository(t, h).Tag("v1"), image)
	push(t, h, repository(t, h).Tag("all"), index)

	work := t.TempDir()
	run(t, work, "generate-key-pair", "--output-key-prefix", "p256")
	for name, private := range fixtureKeys(t) {
		importKey(t, work, name, private)
	}
	for _, name := range fixtureNames {
		for _, layout := range layouts {
			signWith(t, work, name, layout, byDigest(t, h, image))
		}
	}
	for _, layout := range layouts {
		signWith(t, work, "p256", layout, byDigest(t, h, index))
	}
	predicate := filepath.Join(work, "predicate.json")
	if err := os.WriteFile(predicate, []byte(`{"tests":"passed"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	run(t, work, append([]string{"attest", "--key", "p256.key", "--predicate", predicate, "--type", "https://example.com/tests/v1", "--new-bundle-format=true"},
		append(loopback, byDigest(t, h, image))...)...)
	keep(t, h, work, image, index)
}

// loopback keeps cosign from talking to Sigstore's services.
var loopback = []string{"--yes", "--tlog-upload=false", "--use-signing-config=false", "--allow-insecure-registry"}

// layouts are the two ways in which cosign stores signatures.
var layouts = [][]string{
	{"--new-bundle-format=false", "--sign-container-identity=registry.example.com/group/app"},
	{"--new-bundle-format=true"},
}

// fixture is an image with one file, the same in every run.
func fixture(t *testing.T) v1.Image {
	t.Helper()
	var files bytes.Buffer
	w := tar.NewWriter(&files)
	text := "signed\n"
	if err := w.WriteHeader(&tar.Header{Name: "signed.txt", Mode: 0o644, Size: int64(len(text))}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	base := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	image, err := mutate.AppendLayers(base, static.NewLayer(files.Bytes(), types.OCIUncompressedLayer))
	if err != nil {
		t.Fatal(err)
	}
	return image
}

// fixtureKeys are the keys that cosign does not make itself.
func fixtureKeys(t *testing.T) map[string]crypto.PrivateKey {
	t.Helper()
	_, edwards, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	rsaKey, err := rsa.GenerateKey(rand.Reader, 3072)
	if err != nil {
		t.Fatal(err)
	}
	return map[string]crypto.PrivateKey{"p384": newECDSA(t, elliptic.P384()), "ed25519": edwards, "rsa": rsaKey}
}

// importKey leaves name.key and name.pub in work.
func importKey(t *testing.T, work, name string, private crypto.PrivateKey) {
	t.Helper()
	text, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	run(t, work, "import-key-pair", "--yes", "--key", pemFile(t, name, "PRIVATE KEY", text), "--output-key-prefix", name)
}

func signWith(t *testing.T, work, name string, layout []string, image string) {
	t.Helper()
	args := append([]string{"sign", "--key", name + ".key"}, layout...)
	run(t, work, append(append(args, loopback...), image)...)
	if name == "p384" || name == "ed25519" {
		return // cosign 3.1 does not verify these as it has signed them: it expects SHA-256, and Ed25519 without ph
	}
	run(t, work, "verify", "--key", name+".pub", "--insecure-ignore-tlog", "--allow-insecure-registry", layout[0], image)
}

func run(t *testing.T, work string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), *cosign, args...)
	cmd.Dir, cmd.Env = work, []string{"COSIGN_PASSWORD=", "HOME=" + work, "PATH=" + os.Getenv("PATH")}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("cosign %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// byDigest names an image by its digest.
func byDigest(t *testing.T, h *host, image interface{ Digest() (v1.Hash, error) }) string {
	t.Helper()
	digest, err := image.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return repository(t, h).Digest(digest.String()).Name()
}

// keep writes what the registry has to testdata, as an OCI layout.
func keep(t *testing.T, h *host, work string, image v1.Image, index v1.ImageIndex) {
	t.Helper()
	if err := os.RemoveAll("testdata/layout"); err != nil {
		t.Fatal(err)
	}
	out, err := layout.Write("testdata/layout", empty.Index)
	if err != nil {
		t.Fatal(err)
	}
	with := remote.WithTransport(h.Client().Transport)
	tags, err := remote.List(repository(t, h), with)
	if err != nil {
		t.Fatal(err)
	}
	for _, tag := range tags {
		found, err := remote.Get(repository(t, h).Tag(tag), with)
		if err != nil {
			t.Fatal(err)
		}
		appendTo(t, out, found, map[string]string{tagAnnotation: tag})
	}
	for _, of := range []interface{ Digest() (v1.Hash, error) }{image, index} {
		digest, err := of.Digest()
		if err != nil {
			t.Fatal(err)
		}
		list, err := remote.Referrers(repository(t, h).Digest(digest.String()), with)
		if err != nil {
			t.Fatal(err)
		}
		manifest, err := list.IndexManifest()
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range manifest.Manifests {
			found, err := remote.Get(repository(t, h).Digest(d.Digest.String()), with)
			if err != nil {
				t.Fatal(err)
			}
			appendTo(t, out, found, nil)
		}
	}
	keys, err := filepath.Glob(filepath.Join(work, "*.pub"))
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range keys {
		text, err := os.ReadFile(key)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join("testdata", filepath.Base(key)), text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func appendTo(t *testing.T, out layout.Path, found *remote.Descriptor, annotations map[string]string) {
	t.Helper()
	option := layout.WithAnnotations(annotations)
	if found.MediaType.IsIndex() {
		index, err := found.ImageIndex()
		if err == nil {
			err = out.AppendIndex(index, option)
		}
		if err != nil {
			t.Fatal(err)
		}
		return
	}
	image, err := found.Image()
	if err == nil {
		err = out.AppendImage(image, option)
	}
	if err != nil {
		t.Fatal(err)
	}
}
