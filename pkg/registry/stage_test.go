package registry

import (
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	fake "github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// newRegistry returns a registry that keeps what is pushed in memory, and knows
// the referrers API.
func newRegistry() http.Handler {
	return fake.New(fake.WithReferrersSupport(true), fake.Logger(log.New(io.Discard, "", 0)))
}

// without hides paths of a registry.
func without(serves func(path string) bool, registry http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !serves(r.URL.Path) {
			http.NotFound(w, r)
			return
		}
		registry.ServeHTTP(w, r)
	})
}

// A host is a server that takes down what it is asked.
type host struct {
	*httptest.Server
	name string // host:port

	mu       sync.Mutex
	requests []string // method and path
	logins   []string // the Authorization headers
}

// listen serves a registry in plain HTTP.
func listen(t *testing.T, h http.Handler) *host {
	t.Helper()
	s := &host{}
	s.Server = httptest.NewServer(s.record(h))
	s.name = strings.TrimPrefix(s.URL, "http://")
	t.Cleanup(s.Close)
	return s
}

func (s *host) record(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.requests = append(s.requests, r.Method+" "+r.URL.Path)
		if login := r.Header.Get("Authorization"); login != "" {
			s.logins = append(s.logins, login)
		}
		s.mu.Unlock()
		h.ServeHTTP(w, r)
	})
}

// asked returns the requests so far.
func (s *host) asked() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.requests...)
}

func (s *host) sawLogins() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.logins...)
}

// client returns a Client that may speak plain HTTP with hosts.
func client(t *testing.T, hosts ...*host) *Client {
	t.Helper()
	var o Options
	for _, h := range hosts {
		o.Insecure = append(o.Insecure, h.name)
	}
	return clientWith(t, o)
}

func clientWith(t *testing.T, o Options) *Client {
	t.Helper()
	c := New(o)
	t.Cleanup(c.Close)
	return c
}

// repository is where tests push to; it is served by h.
func repository(t *testing.T, h *host) name.Repository {
	t.Helper()
	repo, err := name.NewRepository(h.name+"/group/app", name.Insecure)
	if err != nil {
		t.Fatal(err)
	}
	return repo
}

func push(t *testing.T, h *host, ref name.Reference, what remote.Taggable) {
	t.Helper()
	if err := remote.Push(ref, what, remote.WithTransport(h.Client().Transport)); err != nil {
		t.Fatalf("push %s: %v", ref, err)
	}
}

// pushFixtures pushes what cosign has made of testdata's image, and returns the
// image's digest. Its tag is "v1", and "all" is an index with it.
func pushFixtures(t *testing.T, h *host) string {
	t.Helper()
	index, err := layout.ImageIndexFromPath("testdata/layout")
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	var image string
	for _, d := range manifest.Manifests {
		repo := repository(t, h)
		var ref name.Reference = repo.Digest(d.Digest.String())
		if tag := d.Annotations[tagAnnotation]; tag != "" {
			ref = repo.Tag(tag)
		}
		if ref.Identifier() == "v1" {
			image = d.Digest.String()
		}
		push(t, h, ref, child(t, index, d))
	}
	return image
}

const tagAnnotation = "org.opencontainers.image.ref.name"

func child(t *testing.T, index v1.ImageIndex, d v1.Descriptor) remote.Taggable {
	t.Helper()
	var found remote.Taggable
	var err error
	if d.MediaType.IsIndex() {
		found, err = index.ImageIndex(d.Digest)
	} else {
		found, err = index.Image(d.Digest)
	}
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// wantError checks an error's kind, and that its text has all the parts.
func wantError(t *testing.T, err error, kind Kind, parts ...string) {
	t.Helper()
	var got *Error
	if !errors.As(err, &got) {
		t.Fatalf("error %v (%T) is no *Error", err, err)
	}
	if got.Kind != kind {
		t.Errorf("kind %q, want %q: %v", got.Kind, kind, err)
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("error %q\nhas no %q", err, part)
		}
	}
}
