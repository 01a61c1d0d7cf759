package store

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"

	"github.com/runnerd/runnerd/internal/miniotest"
)

// check returns "probe: verdict" of each finding, and the findings by probe.
func check(ctx context.Context, b *Bucket, o CheckOptions) (list []string, by map[string]Finding) {
	by = map[string]Finding{}
	for f := range Check(ctx, b, o) {
		list = append(list, f.Probe+": "+string(f.Verdict))
		by[f.Probe] = f
	}
	return list, by
}

var allProbes = []string{
	"address: ok", "clock: ok", "credentials: ok", "bucket: ok", "put: ok", "conditional put: ok",
	"presigned put: ok", "presigned get: ok", "ranged read: ok", "list: ok", "delete: ok", "lifecycle: ok",
}

func TestCheckGoodBucket(t *testing.T) {
	b := open(t, miniotest.Start(t, miniotest.Options{TLS: true}))
	got, by := check(t.Context(), b, CheckOptions{Prefix: "ci/", Expire: "ci/v1/"})
	if diff := cmp.Diff(allProbes, got); diff != "" {
		t.Errorf("findings (-want +got):\n%s\n%+v", diff, by)
	}
	if !strings.Contains(by["address"].Detail, "TLS 1.3") || !strings.Contains(by["bucket"].Detail, "caches, region us-east-1 (asked for)") {
		t.Errorf("details: %+v", by)
	}
	if left := names(t, b, ""); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestCheckLifecycle(t *testing.T) {
	b, ctx := open(t, startMinIO(t)), t.Context()
	expect := func(days int, verdict Verdict, detail string) {
		t.Helper()
		_, by := check(ctx, b, CheckOptions{Expire: "v1/", Days: days})
		if f := by["lifecycle"]; f.Verdict != verdict || !strings.Contains(f.Detail, detail) {
			t.Errorf("for %d days: %+v, want %s with %q", days, f, verdict, detail)
		}
	}
	expect(0, OK, "not asked for")
	expect(30, Warn, `no rule lets objects below "v1/" expire after 30 days`)
	if _, err := b.EnsureExpiry(ctx, "v1/", 30); err != nil {
		t.Fatal(err)
	}
	expect(30, OK, "expire after 30 days")
	expect(7, Warn, "after 30 days, not 7")
	expect(0, Warn, "there is no lifetime in [runners.cache]")
}

func TestCheckEncryption(t *testing.T) {
	plain := startMinIO(t)
	_, by := check(t.Context(), open(t, plain, func(c *Config) { c.Encryption = EncryptS3 }), CheckOptions{})
	if f := by["put"]; f.Verdict != Fail || !strings.Contains(f.Detail, "NotImplemented") {
		t.Errorf("put with an encryption that the store has not: %+v", f)
	}
	encrypting := startMinIO(t, kmsKey)
	_, by = check(t.Context(), open(t, encrypting, func(c *Config) { c.Encryption = EncryptS3 }), CheckOptions{})
	if f := by["encryption"]; f.Verdict != OK || !strings.Contains(f.Detail, "AES256") {
		t.Errorf("encryption: %+v", f)
	}
}

// TestCheckStops: what comes after a failure that leaves no chance says nothing.
func TestCheckStops(t *testing.T) {
	server := startMinIO(t)
	tests := []struct {
		name   string
		change func(*Config)
		want   []string
		advice string
	}{
		{"nobody listens", func(c *Config) { c.Address = closedPort(t) }, []string{"address: FAIL"}, "can be reached from here"},
		{"http for https", func(c *Config) { c.Insecure = false }, []string{"address: FAIL"}, "set Insecure = true"},
		{"wrong secret key", func(c *Config) { c.SecretKey = "hunter2" }, []string{"address: warn", "clock: ok", "credentials: ok", "bucket: FAIL"}, "check SecretKey"},
		{"no bucket", func(c *Config) { c.Bucket = "elsewhere" }, []string{"address: warn", "clock: ok", "credentials: ok", "bucket: FAIL"}, `make the bucket "elsewhere"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, by := check(t.Context(), open(t, server, tt.change), CheckOptions{})
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("findings (-want +got):\n%s", diff)
			}
			last := by[strings.TrimSuffix(got[len(got)-1], ": FAIL")]
			if !strings.Contains(last.Advice, tt.advice) || strings.Contains(last.Detail, last.Advice) || strings.Contains(last.Detail, "X-Amz") {
				t.Errorf("last finding %+v, want the advice %q, once", last, tt.advice)
			}
		})
	}
}

// TestCheckCarelessStore: a store that takes whatever it is sent is found out.
func TestCheckCarelessStore(t *testing.T) {
	backend := s3mem.New()
	if err := backend.CreateBucket("caches"); err != nil {
		t.Fatal(err)
	}
	fake := gofakes3.New(backend, gofakes3.WithLogger(gofakes3.DiscardLog())).Server()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Header.Del("If-None-Match")
		r.Header.Del("If-Match")
		fake.ServeHTTP(w, r)
	}))
	defer s.Close()
	b := open(t, &miniotest.Server{Endpoint: s.Listener.Addr().String(), Bucket: "caches", AccessKey: "a", SecretKey: "b"})
	_, by := check(t.Context(), b, CheckOptions{Days: 30})
	for probe, advice := range map[string]string{
		"conditional put": `set conditional_put = "off"`,
		"presigned put":   "whoever has a job's URL can write it",
	} {
		if f := by[probe]; f.Verdict != Fail || !strings.Contains(f.Advice, advice) {
			t.Errorf("%s: %+v, want FAIL with %q", probe, f, advice)
		}
	}
	if f := by["lifecycle"]; f.Verdict != Warn {
		t.Errorf("lifecycle: %+v, want a warning", f)
	}
	if left := names(t, b, ""); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestCheckClock(t *testing.T) {
	for off, want := range map[time.Duration]string{
		0: "ok", 2 * time.Second: "ok",
		time.Minute: "warn: this machine's clock is 1m0s behind the store's", -time.Minute: "warn: this machine's clock is 1m0s ahead of the store's",
		time.Hour: "FAIL: this machine's clock is 1h0m0s behind",
	} {
		t.Run(off.String(), func(t *testing.T) {
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Date", time.Now().Add(off).UTC().Format(http.TimeFormat))
				w.WriteHeader(http.StatusForbidden)
			}))
			defer s.Close()
			b := open(t, &miniotest.Server{Endpoint: s.Listener.Addr().String(), Bucket: "caches", AccessKey: "a", SecretKey: "b"})
			_, by := check(t.Context(), b, CheckOptions{})
			f := by["clock"]
			if got := string(f.Verdict) + ": " + f.Detail; !strings.HasPrefix(got, want) {
				t.Errorf("clock: %s, want %s", got, want)
			}
		})
	}
}

// TestCheckInterrupted: what was written goes even then.
func TestCheckInterrupted(t *testing.T) {
	b := open(t, startMinIO(t))
	ctx, cancel := context.WithCancel(t.Context())
	for f := range Check(ctx, b, CheckOptions{}) {
		if f.Probe == "conditional put" {
			cancel()
		}
	}
	cancel()
	if left := names(t, b, ""); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// TestCheckReadOnlyCredentials: rights that are missing are named.
func TestCheckReadOnlyCredentials(t *testing.T) {
	server := startMinIO(t)
	b := open(t, server, func(c *Config) {
		c.Address = proxy(t, server.Endpoint, func(w http.ResponseWriter, r *http.Request) bool {
			if r.Method != http.MethodPut {
				return false
			}
			_, _ = io.Copy(io.Discard, r.Body) // the answer is no whatever it is
			w.WriteHeader(http.StatusForbidden)
			fmt.Fprint(w, "<Error><Code>AccessDenied</Code><Message>Access Denied.</Message></Error>")
			return true
		})
	})
	_, by := check(t.Context(), b, CheckOptions{})
	want := Finding{Probe: "put", Verdict: Fail, Detail: by["put"].Detail, Advice: `allow s3:PutObject on the bucket "caches" to the credentials in use`}
	if diff := cmp.Diff(want, by["put"]); diff != "" || !strings.Contains(want.Detail, "403 AccessDenied: Access Denied") {
		t.Errorf("put (-want +got):\n%s\n%s", diff, want.Detail)
	}
}
