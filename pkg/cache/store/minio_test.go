package store

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/runnerd/runnerd/internal/miniotest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// startMinIO runs a server with more in its environment.
func startMinIO(t *testing.T, env ...string) *miniotest.Server {
	t.Helper()
	return start(t, miniotest.Options{Env: env})
}

// start runs a server and waits until it knows users and roles as well.
func start(t *testing.T, o miniotest.Options) *miniotest.Server {
	t.Helper()
	server := miniotest.Start(t, o)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(server.CA)
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: roots}}}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for ; ; <-tick.C {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL()+"/minio/health/cluster", nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode == http.StatusOK {
			return server
		}
	}
}

// open returns the server's bucket, with changes made to its configuration.
func open(t *testing.T, s *miniotest.Server, changes ...func(*Config)) *Bucket {
	t.Helper()
	c := Config{Address: s.Endpoint, Bucket: s.Bucket, Insecure: s.CA == nil, AccessKey: s.AccessKey, SecretKey: s.SecretKey}
	if s.CA != nil {
		c.CAFile = filepath.Join(t.TempDir(), "ca.pem")
		if err := os.WriteFile(c.CAFile, s.CA, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, change := range changes {
		change(&c)
	}
	b, err := Open(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b
}
