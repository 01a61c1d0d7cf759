package images

import (
	"archive/tar"
	"errors"
	"io"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// names lists what is in a layer.
func names(t *testing.T, l v1.Layer) []string {
	t.Helper()
	rc, err := l.Uncompressed()
	if err != nil {
		t.Fatal(err)
	}
	defer rc.Close()
	var list []string
	for r := tar.NewReader(rc); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return list
		}
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, h.Name)
	}
}

func TestShellHasNoOtherCommand(t *testing.T) {
	l, err := shell()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names(t, l) {
		inBin := strings.HasPrefix(name, "bin/") || strings.Contains(name, "/bin/") || strings.Contains(name, "sbin/")
		if inBin && !strings.HasSuffix(name, "/") && name != "bin/sh" {
			t.Errorf("layer holds %q; want no command but bin/sh", name)
		}
	}
}

func TestLayersAreReproducible(t *testing.T) {
	var digests [2]v1.Hash
	for i := range digests {
		l, err := layer(nonroot())
		if err != nil {
			t.Fatal(err)
		}
		if digests[i], err = l.Digest(); err != nil {
			t.Fatal(err)
		}
	}
	if digests[0] != digests[1] {
		t.Errorf("the same entries gave layers %s and %s", digests[0], digests[1])
	}
}
