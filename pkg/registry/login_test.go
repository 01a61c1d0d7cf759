package registry

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/runnerd/runnerd/pkg/job"
)

const (
	user     = "gitlab-ci-token"
	password = "glcbt-not-to-be-seen"
)

func credential(h *host) []job.Credential {
	return []job.Credential{{URL: h.name, Username: user, Password: password}}
}

// basicAuth lets only the job's credential in.
func basicAuth(inner http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if u, p, _ := r.BasicAuth(); u != user || p != password {
			w.Header().Set("WWW-Authenticate", `Basic realm="registry"`)
			w.WriteHeader(http.StatusUnauthorized)
			// A registry that repeats what it was sent.
			fmt.Fprintf(w, `{"errors":[{"code":"UNAUTHORIZED","message":%q,"detail":%q}]}`, r.Header.Get("Authorization"), p)
			return
		}
		inner.ServeHTTP(w, r)
	})
}

// tokenAuth lets in who has a token, and gives one for the job's credential (to
// those who ask realm).
func tokenAuth(realm func() string, inner http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/token":
			issueToken(w, r)
		case r.Header.Get("Authorization") != "Bearer good":
			w.Header().Set("WWW-Authenticate", `Bearer realm="`+realm()+`",service="registry"`)
			w.WriteHeader(http.StatusUnauthorized)
		default:
			inner.ServeHTTP(w, r)
		}
	})
}

func issueToken(w http.ResponseWriter, r *http.Request) {
	if _, p, _ := r.BasicAuth(); p != password {
		http.Error(w, "who are you", http.StatusUnauthorized)
		return
	}
	fmt.Fprint(w, `{"token":"good"}`)
}

func TestTheJobsCredentialOpensItsRegistry(t *testing.T) {
	registry, want := pushed(t)
	var token *host
	token = listen(t, tokenAuth(func() string { return token.URL + "/token" }, registry))
	for name, h := range map[string]*host{"basic": listen(t, basicAuth(registry)), "token": token} {
		t.Run(name, func(t *testing.T) {
			c, image := client(t, h), h.name+"/group/app:v1"
			if got, err := c.Resolve(t.Context(), image, credential(h)); err != nil || got != want {
				t.Errorf("Resolve = %q, %v; want %q", got, err, want)
			}
			_, err := c.Resolve(t.Context(), image, nil)
			wantError(t, err, Denied, "401", "the job has no credentials for it")
			_, err = c.Verify(t.Context(), image, want, credential(h), nil)
			wantError(t, err, Unsigned)
			_, err = c.Verify(t.Context(), image, want, nil, nil)
			wantError(t, err, Denied)
		})
	}
}

func TestNoErrorHoldsThePassword(t *testing.T) {
	wrong := job.Credential{Username: user, Password: "glcbt-wrong-and-secret"}
	encoded := base64.StdEncoding.EncodeToString([]byte(wrong.Username + ":" + wrong.Password.Reveal()))
	echo := func(format string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, p, _ := r.BasicAuth()
			switch {
			case r.URL.Path == "/v2/":
				w.Header().Set("WWW-Authenticate", `Bearer realm="http://`+r.Host+`/token"`)
				w.WriteHeader(http.StatusUnauthorized)
			case strings.HasPrefix(format, "http:"):
				http.Redirect(w, r, fmt.Sprintf(format, r.Header.Get("Authorization"), p), http.StatusFound)
			default:
				fmt.Fprintf(w, format, r.Header.Get("Authorization"), p)
			}
		})
	}
	for name, handler := range map[string]http.Handler{
		"denied": basicAuth(nil), "no JSON": echo("%s %s"), "no token": echo(`{"basic":%q,"password":%q}`), "a redirect": echo("http://127.0.0.1:1/%s/%s"),
		"a redirect to a host": echo("http://%.0s%s.example.com/"),
	} {
		t.Run(name, func(t *testing.T) {
			h := listen(t, handler)
			wrong.URL = h.name
			_, err := client(t, h).Resolve(t.Context(), h.name+"/app", []job.Credential{wrong})
			if err == nil {
				t.Fatal("no error")
			}
			for _, secret := range []string{wrong.Password.Reveal(), encoded} {
				if text := fmt.Sprintf("%v %+v %#v", err, err, err); strings.Contains(text, secret) {
					t.Errorf("error %s holds %q", text, secret)
				}
			}
		})
	}
}

func TestACredentialIsNotOfferedToAnotherRegistry(t *testing.T) {
	registry, want := pushed(t)
	own, other := listen(t, registry), listen(t, basicAuth(registry))
	_, err := client(t, own, other).Resolve(t.Context(), other.name+"/group/app:v1", credential(own))
	wantError(t, err, Denied, "the job has no credentials for it")
	if got, err := client(t, own, other).Resolve(t.Context(), own.name+"/group/app:v1", credential(other)); err != nil || got != want {
		t.Errorf("Resolve = %q, %v; want %q", got, err, want)
	}
	if logins := slices.Concat(own.sawLogins(), other.sawLogins()); len(logins) > 0 {
		t.Errorf("logins %q, want none", logins)
	}
}

// A registry sends a client elsewhere for blobs, and may do so for manifests.
func TestACredentialStaysBehindWhenRedirected(t *testing.T) {
	registry, want := pushed(t)
	storage := listen(t, registry)
	redirect := func(inner http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.Contains(r.URL.Path, "/manifests/") {
				http.Redirect(w, r, storage.URL+r.URL.Path, http.StatusTemporaryRedirect)
				return
			}
			inner.ServeHTTP(w, r)
		})
	}
	var token *host
	token = listen(t, tokenAuth(func() string { return token.URL + "/token" }, redirect(registry)))
	for name, h := range map[string]*host{"basic": listen(t, basicAuth(redirect(registry))), "token": token} {
		t.Run(name, func(t *testing.T) {
			got, err := client(t, h, storage).Resolve(t.Context(), h.name+"/group/app:v1", credential(h))
			if err != nil || got != want {
				t.Errorf("Resolve = %q, %v; want %q", got, err, want)
			}
			if len(h.sawLogins()) == 0 {
				t.Error("the registry was not asked with the credential")
			}
			if logins := storage.sawLogins(); len(logins) > 0 {
				t.Errorf("logins at the storage: %q, want none", logins)
			}
		})
	}
}

// The token server that a registry names gets the credential for it, and passes
// it on to nobody.
func TestATokenServerMayBeElsewhere(t *testing.T) {
	registry, want := pushed(t)
	thief := listen(t, http.HandlerFunc(issueToken))
	steal := false
	tokens := listen(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if steal {
			http.Redirect(w, r, byName(thief)+"/token", http.StatusTemporaryRedirect)
			return
		}
		issueToken(w, r)
	}))
	h := listen(t, tokenAuth(func() string { return byName(tokens) + "/token" }, registry))
	c := clientWith(t, Options{Insecure: []string{h.name, hostOf(t, byName(tokens)), hostOf(t, byName(thief))}})
	image := h.name + "/group/app:v1"
	if got, err := c.Resolve(t.Context(), image, credential(h)); err != nil || got != want {
		t.Errorf("Resolve = %q, %v; want %q", got, err, want)
	}
	steal = true
	_, err := c.Resolve(t.Context(), image, credential(h))
	wantError(t, err, Denied)
	if asked := thief.asked(); !slices.Contains(asked, "GET /token") {
		t.Errorf("requests %q: the redirect was not followed, so this shows nothing", asked)
	}
	if diff := cmp.Diff([]string(nil), thief.sawLogins()); diff != "" {
		t.Errorf("the credential went along with a redirect: %s", diff)
	}
}

func TestNoCredentialInPlainHTTPToATokenServerThatIsNotListed(t *testing.T) {
	registry, _ := pushed(t)
	tokens := listen(t, http.HandlerFunc(issueToken))
	h := listen(t, tokenAuth(func() string { return byName(tokens) + "/token" }, registry))
	_, err := client(t, h).Resolve(t.Context(), h.name+"/group/app:v1", credential(h))
	wantError(t, err, Unreachable, "plain HTTP to "+hostOf(t, byName(tokens))+" refused")
	if asked := tokens.asked(); len(asked) > 0 {
		t.Errorf("requests %q, want none", asked)
	}
}

// byName is the host's URL with a name: to an address in a private range, the
// library lets nobody be sent.
func byName(h *host) string { return strings.Replace(h.URL, "127.0.0.1", "localhost", 1) }

func hostOf(t *testing.T, text string) string {
	t.Helper()
	u, err := url.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return u.Host
}
