package transfer

import (
	"bytes"
	"context"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/runnerd/runnerd/internal/miniotest"
)

// A signer presigns as the daemon does.
type signer struct {
	*minio.Client
	server *miniotest.Server
}

func newSigner(t *testing.T, s *miniotest.Server, secretKey string) signer {
	t.Helper()
	c, err := minio.New(s.Endpoint, &minio.Options{
		Creds: credentials.NewStaticV4(s.AccessKey, secretKey, ""), Secure: s.CA != nil, Region: "us-east-1",
	})
	if err != nil {
		t.Fatal(err)
	}
	return signer{c, s}
}

func (s signer) get(t *testing.T, name string) string {
	t.Helper()
	u, err := s.Presign(t.Context(), http.MethodGet, s.server.Bucket, name, time.Hour, nil)
	if err != nil {
		t.Fatal(err)
	}
	return u.String()
}

func (s signer) put(t *testing.T, name string) string {
	t.Helper()
	u, err := s.PresignHeader(t.Context(), http.MethodPut, s.server.Bucket, name, time.Hour, url.Values{}, http.Header{"If-None-Match": {"*"}})
	if err != nil {
		t.Fatal(err)
	}
	return u.String()
}

// once is what a URL of put needs.
var once = map[string]string{"If-None-Match": "*"}

func TestMinIO(t *testing.T) {
	for _, tls := range []bool{false, true} {
		server := miniotest.Start(t, miniotest.Options{TLS: tls})
		s := newSigner(t, server, server.SecretKey)
		c := client(t, Options{CA: server.CA})
		segment := random(3<<20 + 1)
		urls := []string{s.put(t, "layer/0"), s.put(t, "layer/1")}
		sink := c.Sink(urls, once)

		for n := range urls {
			check(t, sink.Put(t.Context(), n, segment[n:], [32]byte{}), "", 0)
		}
		check(t, sink.Put(t.Context(), 0, segment, [32]byte{}), Conflict, 1)
		check(t, c.Sink(urls, nil).Put(t.Context(), 0, segment, [32]byte{}), Denied, 1) // a signed header is missing

		source := c.Source([]string{s.get(t, "layer/0"), s.get(t, "layer/1"), s.get(t, "layer/2")})
		for n := range urls {
			into := make([]byte, len(segment)-n)
			check(t, source.Get(t.Context(), n, into), "", 0)
			if !bytes.Equal(into, segment[n:]) {
				t.Errorf("segment %d is another one than was stored", n)
			}
		}
		check(t, source.Get(t.Context(), 0, make([]byte, len(segment)+1)), Corrupt, 4)
		check(t, source.Get(t.Context(), 2, make([]byte, 1)), Missing, 1)

		forged := newSigner(t, server, "another secret")
		check(t, c.Sink([]string{forged.put(t, "layer/3")}, once).Put(t.Context(), 0, segment, [32]byte{}), Denied, 1)
		check(t, c.Source([]string{forged.get(t, "layer/0")}).Get(t.Context(), 0, make([]byte, len(segment))), Denied, 1)

		elsewhere := strings.Replace(urls[0], "layer/0", "layer/9", 1)
		check(t, c.Sink([]string{elsewhere}, once).Put(t.Context(), 0, segment, [32]byte{}), Denied, 1)
	}
}

func TestMinIOExpired(t *testing.T) {
	server := miniotest.Start(t, miniotest.Options{})
	s := newSigner(t, server, server.SecretKey)
	var get, put string
	// In a bubble the clock begins long ago, and so do the URLs.
	synctest.Test(t, func(t *testing.T) { get, put = s.get(t, "layer/0"), s.put(t, "layer/0") })
	c := client(t, Options{})
	check(t, c.Sink([]string{put}, once).Put(t.Context(), 0, random(16<<20), [32]byte{}), Expired, 1)
	check(t, c.Source([]string{get}).Get(t.Context(), 0, make([]byte, 1)), Expired, 1)
}

// The store dies in the middle of an upload, and comes back.
func TestMinIORestarts(t *testing.T) {
	server := miniotest.Start(t, miniotest.Options{})
	s := newSigner(t, server, server.SecretKey)
	c := client(t, Options{Pauses: []time.Duration{100 * time.Millisecond, time.Second, 5 * time.Second}})
	crash := &crash{left: 4 << 20, server: server}
	dial := c.transport.DialContext
	c.transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		return &crashing{Conn: conn, crash: crash}, err
	}

	segment := random(16 << 20)
	check(t, c.Sink([]string{s.put(t, "layer/0")}, once).Put(t.Context(), 0, segment, [32]byte{}), "", 0)
	if c.Sent() <= int64(len(segment)) {
		t.Errorf("%d bytes sent, want more than the %d of the segment", c.Sent(), len(segment))
	}
	into := make([]byte, len(segment))
	check(t, c.Source([]string{s.get(t, "layer/0")}).Get(t.Context(), 0, into), "", 0)
	if !bytes.Equal(into, segment) {
		t.Error("the segment is another one than was stored")
	}
}

// A crash happens when so many bytes have been written.
type crash struct {
	left   int
	server *miniotest.Server
}

type crashing struct {
	net.Conn
	crash *crash
}

func (c *crashing) Write(p []byte) (int, error) {
	if c.crash.left > 0 {
		c.crash.left -= len(p)
		if c.crash.left <= 0 {
			c.crash.server.Kill()
			c.crash.server.Restart()
		}
	}
	return c.Conn.Write(p)
}
