package image

import (
	"io"
	"log"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// programs puts this test's own program, which is one of Go's, where those of the
// images are.
func programs(t *testing.T) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(self)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, architecture := range []string{"amd64", "arm64"} {
		if err := os.MkdirAll(filepath.Join(dir, "linux_"+architecture), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "linux_"+architecture, "runnerd"), data, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// TestPush: what is built arrives in a registry as one image for two architectures,
// each with its bill of materials; built again it is the same.
func TestPush(t *testing.T) {
	o := Options{Version: "1.2.3", Revision: "abcdef", Created: time.Unix(1700000000, 0), Programs: programs(t)}
	server := httptest.NewServer(registry.New(registry.WithReferrersSupport(true), registry.Logger(log.New(io.Discard, "", 0))))
	defer server.Close()
	host := strings.TrimPrefix(server.URL, "http://")

	var refs []string
	for range 2 {
		dir := t.TempDir()
		var built []Built
		for _, architecture := range []string{"amd64", "arm64"} {
			b, err := o.daemon(architecture, []byte("certificates"))
			if err != nil {
				t.Fatal(err)
			}
			built = append(built, b)
		}
		if err := Save(dir, o.Version, built); err != nil {
			t.Fatal(err)
		}
		for _, file := range []string{"runnerd_linux_amd64.cdx.json", "runnerd_linux_arm64.cdx.json"} {
			if text, err := os.ReadFile(filepath.Join(dir, file)); err != nil || !strings.Contains(string(text), "pkg:golang/stdlib@1.") {
				t.Errorf("%s (%v) does not list Go itself:\n%s", file, err, text)
			}
		}
		ref, err := push(t.Context(), filepath.Join(dir, Daemon), host+"/ci/runnerd", true)
		if err != nil {
			t.Fatal(err)
		}
		if want := host + "/ci/runnerd:1.2.3"; ref != want {
			t.Errorf("pushed to %s, want %s", ref, want)
		}
		tag, err := name.NewTag(ref)
		if err != nil {
			t.Fatal(err)
		}
		refs = append(refs, check(t, tag))
	}
	if refs[0] != refs[1] {
		t.Errorf("built twice, the image is %s and %s", refs[0], refs[1])
	}
}

// check looks at what a registry has, and returns its digest.
func check(t *testing.T, tag name.Tag) string {
	t.Helper()
	index, err := remote.Index(tag)
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	var platforms []string
	for _, m := range manifest.Manifests {
		platforms = append(platforms, m.Platform.String())
		img, err := index.Image(m.Digest)
		if err != nil {
			t.Fatal(err)
		}
		file, err := img.ConfigFile()
		if err != nil {
			t.Fatal(err)
		}
		if file.Config.User != "65532:65532" || file.Config.Labels["org.opencontainers.image.version"] != "1.2.3" || file.Architecture != m.Platform.Architecture {
			t.Errorf("%s: user %q, labels %v, architecture %q", m.Platform, file.Config.User, file.Config.Labels, file.Architecture)
		}
		referrers, err := remote.Referrers(tag.Digest(m.Digest.String()))
		if err != nil {
			t.Fatal(err)
		}
		bills, err := referrers.IndexManifest()
		if err != nil {
			t.Fatal(err)
		}
		if len(bills.Manifests) != 1 || bills.Manifests[0].ArtifactType != sbomType {
			t.Errorf("%s: referrers %+v, want one bill of materials", m.Platform, bills.Manifests)
		}
	}
	if want := []string{"linux/amd64", "linux/arm64"}; !slices.Equal(platforms, want) {
		t.Errorf("platforms %q, want %q", platforms, want)
	}
	digest, err := index.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return digest.String()
}
