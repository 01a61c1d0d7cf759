package registry

import (
	"context"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
)

// pushed is a registry with an image at group/app:v1, and its digest.
func pushed(t *testing.T) (http.Handler, string) {
	t.Helper()
	registry := newRegistry()
	h := listen(t, registry)
	image := mutate.ConfigMediaType(empty.Image, "application/vnd.oci.image.config.v1+json")
	push(t, h, repository(t, h).Tag("v1"), image)
	digest, err := image.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return registry, digest.String()
}

func TestResolveATag(t *testing.T) {
	registry, want := pushed(t)
	h := listen(t, registry)
	got, err := client(t, h).Resolve(t.Context(), h.name+"/group/app:v1", nil)
	if err != nil || got != want {
		t.Errorf("Resolve = %q, %v; want %q", got, err, want)
	}
	if diff := cmp.Diff([]string{"GET /v2/", "HEAD /v2/group/app/manifests/v1"}, h.asked()); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
}

func TestResolveAnIndexIsTheIndexItself(t *testing.T) {
	h := listen(t, newRegistry())
	index := mutate.AppendManifests(empty.Index, mutate.IndexAddendum{Add: empty.Image})
	push(t, h, repository(t, h).Tag("all"), index)
	want, err := index.Digest()
	if err != nil {
		t.Fatal(err)
	}
	got, err := client(t, h).Resolve(t.Context(), h.name+"/group/app:all", nil)
	if err != nil || got != want.String() {
		t.Errorf("Resolve = %q, %v; want %q", got, err, want)
	}
}

func TestResolveANameWithADigestAsksNobody(t *testing.T) {
	h := listen(t, http.NotFoundHandler())
	digest := "sha256:" + strings.Repeat("ab", 32)
	got, err := client(t, h).Resolve(t.Context(), h.name+"/group/app:v1@"+digest, nil)
	if err != nil || got != digest {
		t.Errorf("Resolve = %q, %v; want %q", got, err, digest)
	}
	if asked := h.asked(); len(asked) > 0 {
		t.Errorf("requests %q, want none", asked)
	}
}

// HEAD without a digest, and no HEAD at all, are both seen in the wild.
func TestResolveByGetWhenHeadDoesNotSay(t *testing.T) {
	registry, want := pushed(t)
	tests := map[string]http.HandlerFunc{
		"no digest": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/vnd.oci.image.manifest.v1+json")
			w.Header().Set("Content-Length", "10")
		},
		"405": func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusMethodNotAllowed) },
		"501": func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusNotImplemented) },
	}
	for name, head := range tests {
		t.Run(name, func(t *testing.T) {
			h := listen(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Method == http.MethodHead {
					head(w, r)
					return
				}
				registry.ServeHTTP(w, r)
			}))
			got, err := client(t, h).Resolve(t.Context(), h.name+"/group/app:v1", nil)
			if err != nil || got != want {
				t.Errorf("Resolve = %q, %v; want %q", got, err, want)
			}
		})
	}
}

func TestResolveWhatTheRegistryDoesNotHave(t *testing.T) {
	registry, _ := pushed(t)
	h := listen(t, registry)
	for _, name := range []string{h.name + "/group/app:v2", h.name + "/other:v1"} {
		_, err := client(t, h).Resolve(t.Context(), name, nil)
		wantError(t, err, NotFound, name, "registry "+h.name, "404", "check the name")
	}
}

func TestResolveSaysWhatTheAnswerMeans(t *testing.T) {
	tests := map[string]struct {
		status int
		kind   Kind
		text   string
	}{
		"401": {http.StatusUnauthorized, Denied, "the job has no credentials for it"},
		"403": {http.StatusForbidden, Denied, "the job has no credentials for it"},
		"429": {http.StatusTooManyRequests, Unreachable, "no more requests now"},
		"503": {http.StatusServiceUnavailable, Unreachable, "in trouble (503 Service Unavailable)"},
		"418": {http.StatusTeapot, Malformed, "does not answer as a registry does (418"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			h := listen(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/v2/" {
					return
				}
				w.WriteHeader(test.status)
				// Longer than what the library reads of an error.
				w.Write([]byte(strings.Repeat("<p>so sorry</p>", 10_000)))
			}))
			_, err := client(t, h).Resolve(t.Context(), h.name+"/app", nil)
			wantError(t, err, test.kind, test.text)
			if len(h.asked()) > 6 {
				t.Errorf("%d requests, want few: %q", len(h.asked()), h.asked())
			}
		})
	}
}

func TestResolveAtARegistryThatIsAway(t *testing.T) {
	h := listen(t, http.NotFoundHandler())
	h.Close()
	_, err := client(t, h).Resolve(t.Context(), h.name+"/app:1", nil)
	wantError(t, err, Unreachable, `resolve image "`+h.name+`/app:1"`, "cannot be reached", "connection refused")
}

func TestResolveGivesUpInTime(t *testing.T) {
	h := listen(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	c := clientWith(t, Options{Insecure: []string{h.name}, Timeout: 400 * time.Millisecond})
	_, err := c.Resolve(t.Context(), h.name+"/app", nil)
	wantError(t, err, Unreachable, "no answer within 400ms")
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v does not wrap the deadline", err)
	}
}

func TestResolveEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	h := listen(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		cancel()
		<-r.Context().Done()
	}))
	_, err := client(t, h).Resolve(ctx, h.name+"/app", nil)
	wantError(t, err, Unreachable)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v does not wrap the context's", err)
	}
}

func TestPlainHTTPOnlyWhereListed(t *testing.T) {
	registry, want := pushed(t)
	plain := listen(t, registry)
	_, err := clientWith(t, Options{}).Resolve(t.Context(), plain.name+"/group/app:v1", nil)
	wantError(t, err, Unreachable, "speaks plain HTTP", "list it")
	if asked := plain.asked(); len(asked) > 0 {
		t.Errorf("requests in plain HTTP: %q", asked)
	}

	secure := httptest.NewUnstartedServer(registry)
	secure.Config.ErrorLog = log.New(io.Discard, "", 0) // of the handshake that fails
	secure.StartTLS()
	defer secure.Close()
	c := clientWith(t, Options{})
	name := strings.TrimPrefix(secure.URL, "https://") + "/group/app:v1"
	_, err = c.Resolve(t.Context(), name, nil)
	wantError(t, err, Unreachable, "signed by unknown authority", "make its authority known")
	c.transport.TLSClientConfig = secure.Client().Transport.(*http.Transport).TLSClientConfig
	if got, err := c.Resolve(t.Context(), name, nil); err != nil || got != want {
		t.Errorf("Resolve by HTTPS = %q, %v; want %q", got, err, want)
	}
	c.insecure = New(Options{Insecure: []string{secure.Listener.Addr().String()}}).insecure
	if got, err := c.Resolve(t.Context(), name, nil); err != nil || got != want {
		t.Errorf("Resolve by HTTPS, though listed = %q, %v; want %q", got, err, want)
	}
}

func TestAnAnswerThatIsTooLargeIsRefused(t *testing.T) {
	for name, announced := range map[string]bool{"announced": true, "not announced": false} {
		t.Run(name, func(t *testing.T) {
			h := listen(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				switch {
				case r.URL.Path == "/v2/":
				case r.Method == http.MethodHead:
					w.WriteHeader(http.StatusMethodNotAllowed)
				default:
					if announced {
						w.Header().Set("Content-Length", "4194305")
					}
					w.Write(make([]byte, maxAnswer+1))
				}
			}))
			_, err := client(t, h).Resolve(t.Context(), h.name+"/app", nil)
			wantError(t, err, Malformed, "larger than 4 MiB")
		})
	}
}
