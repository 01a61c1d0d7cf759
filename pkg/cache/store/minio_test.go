package store

import (
	"os"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"

	"github.com/runnerd/runnerd/internal/miniotest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// startMinIO runs a server with more in its environment.
func startMinIO(t *testing.T, env ...string) *miniotest.Server {
	t.Helper()
	return miniotest.Start(t, miniotest.Options{Env: env})
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
