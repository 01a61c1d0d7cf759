package store

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/runnerd/runnerd/internal/miniotest"
)

func TestErrorsSayWhatToDo(t *testing.T) {
	server := startMinIO(t, "MINIO_SITE_REGION=us-west-1")
	tests := []struct {
		name   string
		change func(*Config)
		is     error
		want   string
	}{
		{
			"wrong secret key", func(c *Config) { c.SecretKey = "hunter2" }, ErrDenied,
			"put s3://caches/a/head: 403 SignatureDoesNotMatch: The request signature we calculated does not match the signature you provided. Check your key and signing method; check SecretKey, and BucketLocation if it is set",
		},
		{
			"wrong access key", func(c *Config) { c.AccessKey = "nobody" }, ErrDenied,
			"put s3://caches/a/head: 403 InvalidAccessKeyId: The Access Key Id you provided does not exist in our records; the store does not know this access key: check AccessKey",
		},
		{
			"no bucket", func(c *Config) { c.Bucket = "elsewhere" }, ErrNoBucket,
			`put s3://elsewhere/a/head: 404 NoSuchBucket: The specified bucket does not exist; make the bucket "elsewhere", or correct BucketName`,
		},
		{
			"another region", func(c *Config) { c.Region = "eu-north-1" }, nil,
			"put s3://caches/a/head: 400 AuthorizationHeaderMalformed: The authorization header is malformed; the region is wrong; expecting 'us-west-1'; set BucketLocation to the bucket's region",
		},
		{
			"https where http is spoken", func(c *Config) { c.Insecure = false }, ErrUnreachable,
			"put s3://caches/a/head: http: server gave HTTP response to HTTPS client; the store speaks http: set Insecure = true, or correct the port in ServerAddress",
		},
		{
			"no such host", func(c *Config) { c.Address = "no-such-host.invalid:9000" }, ErrUnreachable,
			`check ServerAddress "no-such-host.invalid:9000" and this machine's DNS`,
		},
		{
			"nobody listens", func(c *Config) { c.Address = closedPort(t) }, ErrUnreachable,
			"connection refused; check that 127.0.0.1:",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := open(t, server, tt.change)
			_, err := b.Put(t.Context(), "a/head", []byte("x"), IfAbsent())
			if err == nil || tt.is != nil && !errors.Is(err, tt.is) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Put: %v\nwant %s\nthat is %v", err, tt.want, tt.is)
			}
			if errors.Is(err, ErrNotFound) {
				t.Error("it looks like a cache that is not there")
			}
			if text := fmt.Sprintf("%v %+v", err, b.config); strings.Contains(text, "hunter2") || strings.Contains(text, server.SecretKey) || strings.Contains(text, "X-Amz") {
				t.Errorf("a secret in %q", text)
			}
		})
	}
}

func closedPort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// TestNoAnswer: a store that takes connections and says nothing.
func TestNoAnswer(t *testing.T) {
	silent := make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-silent:
		case <-r.Context().Done():
		}
	}))
	defer s.Close()
	defer close(silent)
	b := open(t, &miniotest.Server{Endpoint: s.Listener.Addr().String(), Bucket: "caches", AccessKey: "a", SecretKey: "b"})
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	_, _, err := b.Get(ctx, "head", 10)
	if !errors.Is(err, ErrUnreachable) || !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "does not answer in time") {
		t.Errorf("Get: %v, want ErrUnreachable by a deadline", err)
	}
}

// TestServerTrouble: answers of proxies and overloaded stores, which are no XML.
func TestServerTrouble(t *testing.T) {
	for status, kind := range map[int]error{
		http.StatusBadGateway: ErrUnreachable, http.StatusTooManyRequests: ErrUnreachable, http.StatusServiceUnavailable: ErrUnreachable,
		http.StatusForbidden: ErrDenied, http.StatusNotImplemented: ErrUnsupported, http.StatusPreconditionFailed: ErrConflict,
	} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			asked := 0
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				asked++
				w.WriteHeader(status)
				fmt.Fprint(w, "<html>\r\n<b>trouble</b>\x1b[31m\n", strings.Repeat("x", 5000))
			}))
			defer s.Close()
			b := open(t, &miniotest.Server{Endpoint: s.Listener.Addr().String(), Bucket: "caches", AccessKey: "a", SecretKey: "b"}, func(c *Config) { c.Region = "here" })
			_, err := b.Put(t.Context(), "head", []byte("x"), Condition{})
			if !errors.Is(err, kind) {
				t.Errorf("Put: %v, want %v", err, kind)
			}
			if text := err.Error(); len(text) > 600 || strings.ContainsAny(text, "\r\n\x1b") || !strings.Contains(text, fmt.Sprint(status)) {
				t.Errorf("text of the error: %q", text)
			}
			if want := map[bool]int{true: tries, false: 1}[errors.Is(err, ErrUnreachable)]; asked != want {
				t.Errorf("%d tries, want %d", asked, want)
			}
		})
	}
}

func TestOpenRefuses(t *testing.T) {
	for want, c := range map[string]Config{
		"no bucket":                      {},
		"without a scheme":               {Bucket: "b", Address: "https://minio:9000"},
		"without its secret key":         {Bucket: "b", AccessKey: "a"},
		"only x-amz headers":             {Bucket: "b", Headers: map[string]string{"Authorization": "x"}},
		"must not reach a pod":           {Bucket: "b", Headers: map[string]string{"X-Amz-Server-Side-Encryption-Customer-Key": "x"}},
		"belongs to the signature":       {Bucket: "b", Headers: map[string]string{"x-amz-date": "x"}},
		"no-such-file: no such file":     {Bucket: "b", CAFile: "/no-such-file"},
		"holds no certificate in PEM fo": {Bucket: "b", CAFile: "/dev/null"},
	} {
		if b, err := Open(c); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Open(%v) = %v, %v, want an error with %q", c, b, err, want)
		}
	}
}

func TestTLS(t *testing.T) {
	server := miniotest.Start(t, miniotest.Options{TLS: true})
	works(t, open(t, server))

	_, _, err := open(t, server, func(c *Config) { c.CAFile = "" }).Get(t.Context(), "head", 10)
	if want := "name the file of the authority that signed the store's certificate in ca_file"; !errors.Is(err, ErrUnreachable) || !strings.Contains(err.Error(), want) {
		t.Errorf("Get without the authority: %v, want %q", err, want)
	}
	other := open(t, server, func(c *Config) { c.Address = "store.test:443" })
	other.transport.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, server.Endpoint)
	}
	_, _, err = other.Get(t.Context(), "head", 10)
	if want := "the certificate is for another name: check ServerAddress and PathStyle"; !errors.Is(err, ErrUnreachable) || !strings.Contains(err.Error(), want) {
		t.Errorf("Get by another name than the certificate's: %v, want %q", err, want)
	}
	_, _, err = open(t, server, func(c *Config) { c.Insecure = true }).Get(t.Context(), "head", 10)
	if err == nil || !strings.Contains(err.Error(), "400") {
		t.Errorf("Get by http: %v, want a refusal", err)
	}
}
