package store

import (
	"encoding/xml"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
)

func TestEnsureExpiry(t *testing.T) {
	server := startMinIO(t)
	b, ctx := open(t, server), t.Context()
	expect := func(prefix string, want int) {
		t.Helper()
		if got, err := b.Expiry(ctx, prefix); err != nil || got != want {
			t.Errorf("Expiry(%q) = %d, %v, want %d", prefix, got, err, want)
		}
	}
	ensure := func(prefix string, days int, want bool) {
		t.Helper()
		if changed, err := b.EnsureExpiry(ctx, prefix, days); err != nil || changed != want {
			t.Errorf("EnsureExpiry(%q, %d) = %v, %v, want %v", prefix, days, changed, err, want)
		}
	}
	expect("ci/v1/", 0)
	ensure("ci/v1/", 30, true)
	ensure("ci/v1/", 30, false)
	expect("ci/v1/", 30)
	ensure("ci/v1/", 7, true)
	expect("ci/v1/", 7)

	// Another's rule stays.
	l, err := b.lifecycle(ctx)
	if err != nil {
		t.Fatal(err)
	}
	const foreign = "<ID>theirs</ID><Status>Enabled</Status><Filter><Prefix>logs/</Prefix></Filter><Expiration><Days>365</Days></Expiration>"
	l.Rules = append(l.Rules, rule{Inner: []byte(foreign)})
	if err := b.setLifecycle(ctx, l); err != nil {
		t.Fatal(err)
	}
	ensure("ci/v1/", 14, true)
	ensure("a&b<c>/v1/", 3, true)
	expect("ci/v1/", 14)
	expect("a&b<c>/v1/", 3)
	if l, err = b.lifecycle(ctx); err != nil {
		t.Fatal(err)
	}
	if text := string(l.encode()); len(l.Rules) != 3 || !strings.Contains(text, "<ID>theirs</ID>") || !strings.Contains(text, "<Days>365</Days>") {
		t.Errorf("rules after a change of ours: %s", text)
	}
}

func TestExpiryIsRefused(t *testing.T) {
	server := startMinIO(t)
	for code, kind := range map[string]error{"AccessDenied": ErrDenied, "NotImplemented": ErrUnsupported} {
		t.Run(code, func(t *testing.T) {
			status := map[string]int{"AccessDenied": http.StatusForbidden, "NotImplemented": http.StatusNotImplemented}[code]
			b := open(t, server, func(c *Config) {
				c.Address = proxy(t, server.Endpoint, func(w http.ResponseWriter, r *http.Request) bool {
					if !r.URL.Query().Has("lifecycle") || r.Method != http.MethodPut {
						return false
					}
					w.WriteHeader(status)
					fmt.Fprintf(w, "<Error><Code>%s</Code><Message>No.</Message></Error>", code)
					return true
				})
			})
			_, err := b.EnsureExpiry(t.Context(), "v1/", 30)
			if !errors.Is(err, kind) || !strings.Contains(err.Error(), code) || strings.Contains(err.Error(), "X-Amz") {
				t.Errorf("EnsureExpiry: %v, want %v", err, kind)
			}
		})
	}
}

// TestStoreForgetsTheRule: some stores answer 200 and keep nothing.
func TestStoreForgetsTheRule(t *testing.T) {
	server := startMinIO(t)
	b := open(t, server, func(c *Config) {
		c.Address = proxy(t, server.Endpoint, func(_ http.ResponseWriter, r *http.Request) bool {
			return r.URL.Query().Has("lifecycle") && r.Method == http.MethodPut
		})
	})
	if _, err := b.EnsureExpiry(t.Context(), "v1/", 30); !errors.Is(err, ErrUnsupported) {
		t.Errorf("EnsureExpiry: %v, want ErrUnsupported", err)
	}
}

// TestForeignRulesAreKept: also what no type of ours or minio-go's knows.
func TestForeignRulesAreKept(t *testing.T) {
	const foreign = `<ID>tiers</ID><Filter><And><Prefix>x/</Prefix><Tag><Key>a</Key><Value>b &amp; c</Value></Tag></And></Filter><Status>Enabled</Status>` +
		`<Transition><Days>30</Days><StorageClass>STANDARD_IA</StorageClass></Transition><Transition><Days>90</Days><StorageClass>GLACIER</StorageClass></Transition><NewThing/>`
	old := ownRule("v1/", 90)
	var l lifecycle
	if err := xml.Unmarshal([]byte(`<LifecycleConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Rule>`+foreign+`</Rule><Rule>`+string(old)+`</Rule></LifecycleConfiguration>`), &l); err != nil {
		t.Fatal(err)
	}
	if l.days("v1/") != 90 || l.days("x/") != 0 {
		t.Errorf("days = %d, %d, want 90 and 0", l.days("v1/"), l.days("x/"))
	}
	got := string(l.with("v1/", 30).encode())
	want := `<LifecycleConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Rule>` + foreign + `</Rule><Rule>` + string(ownRule("v1/", 30)) + `</Rule></LifecycleConfiguration>`
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}
