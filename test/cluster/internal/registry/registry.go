// Package registry is the cluster's image registry: go-containerregistry's, in
// this process, with image data on disk. Tags live in memory, as every start of
// the cluster pushes its images anew.
package registry

import (
	"context"
	"crypto/subtle"
	"errors"
	"io"
	"io/fs"
	"log"
	"net/http"
	"os"
	"path/filepath"

	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// New returns a registry that keeps what is pushed under dir and also serves
// the blobs under the shared folders, so that they need not be pushed.
func New(dir string, shared ...string) http.Handler {
	return registry.New(
		registry.WithBlobHandler(&blobs{dirs: append([]string{dir}, shared...)}),
		registry.Logger(log.New(io.Discard, "", 0)),
	)
}

// RequireBasicAuth lets only user in; all others get what a private registry
// answers them.
func RequireBasicAuth(next http.Handler, user, password string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		u, p, _ := r.BasicAuth()
		if subtle.ConstantTimeCompare([]byte(u+"\x00"+p), []byte(user+"\x00"+password)) == 1 {
			next.ServeHTTP(w, r)
			return
		}
		w.Header().Set("Www-Authenticate", `Basic realm="runnerd test registry"`)
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusUnauthorized)
		io.WriteString(w, `{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}`)
	})
}

// blobs keeps blobs as DIR/sha256/HEX. Unlike upstream's disk handler it trusts
// its files: that one reads a layer whole whenever it is asked for its size.
type blobs struct {
	dirs []string // the first one is written to
}

func (b *blobs) open(h v1.Hash) (*os.File, error) {
	for _, dir := range b.dirs {
		f, err := os.Open(filepath.Join(dir, h.Algorithm, h.Hex))
		if !errors.Is(err, fs.ErrNotExist) {
			return f, err
		}
	}
	return nil, registry.ErrNotFound
}

func (b *blobs) Get(_ context.Context, _ string, h v1.Hash) (io.ReadCloser, error) {
	return b.open(h)
}

func (b *blobs) Stat(_ context.Context, _ string, h v1.Hash) (int64, error) {
	f, err := b.open(h)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return st.Size(), nil
}

// Put stores a blob; rc has been wrapped to fail if it does not match h.
func (b *blobs) Put(_ context.Context, _ string, h v1.Hash, rc io.ReadCloser) error {
	defer rc.Close()
	dir := filepath.Join(b.dirs[0], h.Algorithm)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, "upload-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	if _, err := io.Copy(f, rc); err != nil {
		f.Close()
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	return os.Rename(f.Name(), filepath.Join(dir, h.Hex))
}
