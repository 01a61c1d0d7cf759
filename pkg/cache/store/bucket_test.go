package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"
)

func TestObjects(t *testing.T) {
	b, ctx := open(t, startMinIO(t)), t.Context()

	if _, _, err := b.Get(ctx, "a/head", 100); !errors.Is(err, ErrNotFound) {
		t.Errorf("Get of nothing: %v, want ErrNotFound", err)
	}
	first, err := b.Put(ctx, "a/head", []byte("one"), IfAbsent())
	if err != nil {
		t.Fatal(err)
	}
	data, got, err := b.Get(ctx, "a/head", 3)
	if err != nil || string(data) != "one" || got.ETag != first.ETag || got.Bytes != 3 || time.Since(got.Modified).Abs() > time.Minute {
		t.Errorf("Get = %q, %+v, %v after Put = %+v", data, got, err, first)
	}
	if _, _, err := b.Get(ctx, "a/head", 2); !errors.Is(err, ErrTooLarge) {
		t.Errorf("Get of more than is wanted: %v, want ErrTooLarge", err)
	}
	if o, err := b.Put(ctx, "a/empty", nil, Condition{}); err != nil || o.Bytes != 0 {
		t.Errorf("Put of nothing = %+v, %v", o, err)
	}

	// Conditions.
	if _, err := b.Put(ctx, "a/head", []byte("two"), IfAbsent()); !errors.Is(err, ErrConflict) {
		t.Errorf("Put if absent over an object: %v, want ErrConflict", err)
	}
	second, err := b.Put(ctx, "a/head", []byte("two"), IfMatch(first.ETag))
	if err != nil {
		t.Errorf("Put over the object that was read: %v", err)
	}
	if _, err := b.Put(ctx, "a/head", []byte("three"), IfMatch(first.ETag)); !errors.Is(err, ErrConflict) {
		t.Errorf("Put over another object than was read: %v, want ErrConflict", err)
	}
	if err := b.Delete(ctx, "a/head"); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Put(ctx, "a/head", []byte("four"), IfMatch(second.ETag)); !errors.Is(err, ErrConflict) {
		t.Errorf("Put over an object that was deleted: %v, want ErrConflict", err)
	}
	if err := b.Delete(ctx, "a/head", "a/empty", "a/never"); err != nil {
		t.Errorf("Delete of what is not there: %v", err)
	}
}

func TestConditionsSwitchedOff(t *testing.T) {
	b, ctx := open(t, startMinIO(t), func(c *Config) { c.ConditionalPut = ConditionalOff }), t.Context()
	for range 2 {
		if _, err := b.Put(ctx, "head", []byte("x"), IfAbsent()); err != nil {
			t.Errorf("Put: %v, want the condition to be left out", err)
		}
	}
	if h := b.UploadHeaders(); len(h) != 0 {
		t.Errorf("UploadHeaders = %v, want none", h)
	}
}

// TestManyObjects is about pages of a thousand: of listings, and of deletions.
func TestManyObjects(t *testing.T) {
	server := startMinIO(t)
	b, ctx := open(t, server), t.Context()
	var want []string
	var puts errgroup.Group
	puts.SetLimit(8)
	for i := range 1203 {
		name := fmt.Sprintf("v1/%d/s/o/%05d", i%3, i)
		want = append(want, name)
		puts.Go(func() error {
			_, err := b.Put(ctx, name, []byte("x"), Condition{})
			return err
		})
	}
	if err := puts.Wait(); err != nil {
		t.Fatal(err)
	}
	slices.Sort(want)
	if diff := cmp.Diff(want, names(t, b, "v1/")); diff != "" {
		t.Errorf("List (-want +got):\n%s", diff)
	}
	var folders []string
	for f, err := range b.Folders(ctx, "v1/") {
		if err != nil {
			t.Fatal(err)
		}
		folders = append(folders, f)
	}
	if diff := cmp.Diff([]string{"v1/0/", "v1/1/", "v1/2/"}, folders); diff != "" {
		t.Errorf("Folders (-want +got):\n%s", diff)
	}
	for range b.List(ctx, "v1/") {
		break // a listing can be left
	}

	t.Run("without bulk deletion", func(t *testing.T) {
		single := open(t, server, func(c *Config) { c.Address = refuseBulk(t, server.Endpoint) })
		if err := single.Delete(ctx, want[:30]...); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want[30:], names(t, b, "v1/")); diff != "" {
			t.Errorf("List (-want +got):\n%s", diff)
		}
	})
	if err := b.Delete(ctx, want...); err != nil {
		t.Fatal(err)
	}
	if left := names(t, b, ""); len(left) != 0 {
		t.Errorf("%d objects are left, such as %s", len(left), left[0])
	}
}

func names(t *testing.T, b *Bucket, prefix string) []string {
	t.Helper()
	var list []string
	for o, err := range b.List(t.Context(), prefix) {
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, o.Name)
	}
	return list
}

// refuseBulk returns the address of a store that cannot delete many objects at
// once, as Google's could not for long.
func refuseBulk(t *testing.T, endpoint string) string {
	t.Helper()
	return proxy(t, endpoint, func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodPost || !r.URL.Query().Has("delete") {
			return false
		}
		w.WriteHeader(http.StatusNotImplemented)
		fmt.Fprint(w, `<Error><Code>NotImplemented</Code><Message>no.</Message></Error>`)
		return true
	})
}

// proxy stands before a server and answers what answer wants to.
func proxy(t *testing.T, endpoint string, answer func(http.ResponseWriter, *http.Request) bool) string {
	t.Helper()
	target := &url.URL{Scheme: "http", Host: endpoint}
	tr := &http.Transport{}
	through := &httputil.ReverseProxy{Transport: tr, Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(target)
		r.Out.Host = r.In.Host // it is part of the signature
	}}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !answer(w, r) {
			through.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(func() { s.Close(); tr.CloseIdleConnections() })
	return s.Listener.Addr().String()
}

func TestListEndsWithItsContext(t *testing.T) {
	b := open(t, startMinIO(t))
	ctx, cancel := context.WithCancel(t.Context())
	if _, err := b.Credentials(ctx); err != nil {
		t.Fatal(err)
	}
	cancel()
	var got error
	for _, err := range b.List(ctx, "") {
		got = err
	}
	if !errors.Is(got, context.Canceled) || errors.Is(got, ErrUnreachable) {
		t.Errorf("List with a context that is over: %v, want context.Canceled and no talk of the store", got)
	}
}

// do sends what a pod would.
func do(t *testing.T, b *Bucket, method, url string, headers map[string]string, body []byte) (int, []byte) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for k, v := range headers {
		req.Header.Set(k, v)
	}
	resp, err := b.transport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, data
}

func TestPresign(t *testing.T) {
	b, ctx := open(t, startMinIO(t), func(c *Config) {
		c.Headers = map[string]string{"x-amz-meta-of": "runnerd"}
	}), t.Context()
	put, err := b.PresignPut(ctx, "o/00000", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	headers := b.UploadHeaders()
	if diff := cmp.Diff(map[string]string{"If-None-Match": "*", "X-Amz-Meta-Of": "runnerd"}, headers); diff != "" {
		t.Errorf("UploadHeaders (-want +got):\n%s", diff)
	}
	if status, _ := do(t, b, http.MethodPut, put, map[string]string{"X-Amz-Meta-Of": "runnerd"}, []byte("x")); status/100 != 4 {
		t.Errorf("PUT without the condition: %d, want a refusal", status)
	}
	if status, body := do(t, b, http.MethodPut, put, headers, []byte("segment")); status != http.StatusOK {
		t.Fatalf("PUT: %d %s", status, body)
	}
	if status, _ := do(t, b, http.MethodPut, put, headers, []byte("forged")); status != http.StatusPreconditionFailed {
		t.Errorf("second PUT: %d, want 412", status)
	}
	get, err := b.PresignGet(ctx, "o/00000", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	if status, body := do(t, b, http.MethodGet, get, nil, nil); status != http.StatusOK || string(body) != "segment" {
		t.Errorf("GET: %d %s", status, body)
	}
	if status, _ := do(t, b, http.MethodGet, strings.Replace(get, "00000", "00001", 1), nil, nil); status != http.StatusForbidden {
		t.Errorf("GET of another object with the URL: %d, want 403", status)
	}
	for _, life := range []time.Duration{0, MaxLife + time.Second} {
		if u, err := b.PresignGet(ctx, "o/00000", life); err == nil {
			t.Errorf("PresignGet for %v = %s, want an error", life, u)
		}
	}
}
