package miniotest_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net/http"
	"testing"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/runnerd/runnerd/internal/miniotest"
)

func client(t *testing.T, s *miniotest.Server) *minio.Client {
	t.Helper()
	o := &minio.Options{Creds: credentials.NewStaticV4(s.AccessKey, s.SecretKey, ""), Secure: s.CA != nil}
	if s.CA != nil {
		pool := x509.NewCertPool()
		pool.AppendCertsFromPEM(s.CA)
		o.Transport = &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}
	}
	c, err := minio.New(s.Endpoint, o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// What was stored is there after a crash of the server.
func TestKillAndRestart(t *testing.T) {
	for _, secure := range []bool{false, true} {
		s := miniotest.Start(t, miniotest.Options{TLS: secure})
		c := client(t, s)
		ctx := context.Background()
		if _, err := c.PutObject(ctx, s.Bucket, "a/b", bytes.NewReader([]byte("text")), 4, minio.PutObjectOptions{}); err != nil {
			t.Fatal(err)
		}
		s.Kill()
		s.Restart()
		object, err := c.GetObject(ctx, s.Bucket, "a/b", minio.GetObjectOptions{})
		if err != nil {
			t.Fatal(err)
		}
		defer object.Close()
		text, err := io.ReadAll(object)
		if err != nil || string(text) != "text" {
			t.Errorf("TLS %t: after a restart the object is %q (%v)", secure, text, err)
		}
	}
}
