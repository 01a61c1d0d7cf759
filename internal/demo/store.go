package demo

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3afero"
	"github.com/spf13/afero"
)

// Bucket is the bucket of the demo's object store.
const Bucket = "demo-cache"

// A store is an S3 server in this process that keeps its objects in a folder,
// so that the demo's next run finds this one's caches.
type store struct {
	server *http.Server
	addr   string
	ended  chan error
}

func startStore(ctx context.Context, address, dir string) (*store, error) {
	if err := os.MkdirAll(filepath.Join(dir, Bucket), 0o700); err != nil {
		return nil, fmt.Errorf("demo: object store: %w", err)
	}
	backend, err := s3afero.MultiBucket(afero.NewBasePathFs(afero.NewOsFs(), dir))
	if err != nil {
		return nil, fmt.Errorf("demo: object store in %s: %w", dir, err)
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fmt.Errorf("demo: %w", err)
	}
	var lc net.ListenConfig
	listener, err := lc.Listen(ctx, "tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		return nil, fmt.Errorf("demo: object store: %w", err)
	}
	handler := gofakes3.New(backend, gofakes3.WithoutVersioning(), gofakes3.WithAutoBucket(true)).Server()
	s := &store{server: &http.Server{Handler: handler}, addr: listener.Addr().String(), ended: make(chan error, 1)}
	go func() { s.ended <- s.server.Serve(listener) }()
	return s, nil
}

func (s *store) close() error {
	_ = s.server.Close() // what it is about, Serve returns
	if err := <-s.ended; !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("demo: object store: %w", err)
	}
	return nil
}
