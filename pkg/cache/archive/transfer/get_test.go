package transfer

import (
	"bytes"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"
)

func serve(segment []byte) handler {
	return func(_ int, w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", strconv.Itoa(len(segment)))
		_, _ = w.Write(segment)
	}
}

// unannounced answers without a Content-Length.
func unannounced(segment []byte) handler {
	return func(_ int, w http.ResponseWriter, _ *http.Request) {
		_ = http.NewResponseController(w).Flush()
		_, _ = w.Write(segment)
	}
}

func TestGet(t *testing.T) {
	segment := random(3 << 20)
	begun := []byte("HTTP/1.1 200 OK\r\nContent-Length: " + strconv.Itoa(len(segment)) + "\r\n\r\n" + string(segment[:1<<20]))
	tests := []struct {
		name    string
		handler handler
		stall   time.Duration
		want    Code
		tries   int
	}{
		{name: "read", handler: serve(segment), tries: 1},
		{name: "read, length not announced", handler: unannounced(segment), tries: 1},
		{name: "overloaded, then read", handler: then(status(500, ""), status(503, xmlError("SlowDown", "")), serve(segment)), tries: 3},
		{name: "reset in the middle, then read", handler: then(reset(0, begun), serve(segment)), tries: 2},
		{name: "reset always", handler: reset(0, begun), want: Network, tries: 4},
		{name: "silence before the answer, then read", handler: then(hang(nil), serve(segment)), stall: 2 * time.Second, tries: 2},
		{name: "silence in the middle, then read", handler: then(hang(segment[:1<<20]), serve(segment)), stall: 2 * time.Second, tries: 2},
		{name: "silence for good", handler: hang(nil), stall: 50 * time.Millisecond, want: Network, tries: 4},
		{name: "shorter", handler: serve(segment[1:]), want: Corrupt, tries: 4},
		{name: "longer", handler: serve(append([]byte("x"), segment...)), want: Corrupt, tries: 4},
		{name: "shorter, not announced", handler: unannounced(segment[1:]), want: Corrupt, tries: 4},
		{name: "longer, not announced", handler: unannounced(append([]byte("x"), segment...)), want: Corrupt, tries: 4},
		{name: "missing", handler: status(404, xmlError("NoSuchKey", "The specified key does not exist.")), want: Missing, tries: 1},
		{name: "expired", handler: status(403, xmlError("AccessDenied", "Request has expired")), want: Expired, tries: 1},
		{name: "denied", handler: status(403, xmlError("SignatureDoesNotMatch", "Check your key.")), want: Denied, tries: 1},
		{name: "redirected to nowhere", handler: status(302, ""), want: Internal, tries: 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := start(t, false, func(*store) handler { return tt.handler })
			source := client(t, Options{Stall: tt.stall}).Source([]string{s.presigned()})
			into := make([]byte, len(segment))
			check(t, source.Get(t.Context(), 0, into), tt.want, tt.tries)
			if got := int(s.tries.Load()); got != tt.tries {
				t.Errorf("%d requests, want %d", got, tt.tries)
			}
			if tt.want == "" && !bytes.Equal(into, segment) {
				t.Error("what was read is not the segment")
			}
		})
	}
}

// A store that is slow is not a store that is silent.
func TestGetSlowly(t *testing.T) {
	const stall = 2 * time.Second
	segment := random(15)
	s := start(t, false, func(*store) handler {
		return func(_ int, w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", strconv.Itoa(len(segment)))
			pace := time.NewTicker(stall / 8)
			defer pace.Stop()
			for i := range segment {
				_, _ = w.Write(segment[i : i+1])
				_ = http.NewResponseController(w).Flush()
				select {
				case <-pace.C:
				case <-r.Context().Done():
					return
				}
			}
		}
	})
	c := client(t, Options{Stall: stall})
	begin := time.Now()
	check(t, c.Source([]string{s.presigned()}).Get(t.Context(), 0, make([]byte, len(segment))), "", 0)
	if took := time.Since(begin); took < stall || s.tries.Load() != 1 {
		t.Errorf("took %v in %d tries, want more than %v in one", took, s.tries.Load(), stall)
	}
	if c.Received() != int64(len(segment)) {
		t.Errorf("%d bytes received, want %d", c.Received(), len(segment))
	}
}

func TestGetRedirected(t *testing.T) {
	segment := random(1000)
	referer := make(chan string, 1)
	plain := start(t, false, func(*store) handler {
		return func(try int, w http.ResponseWriter, r *http.Request) {
			referer <- r.Header.Get("Referer")
			serve(segment)(try, w, r)
		}
	})
	to := func(target string) func(*store) handler {
		return func(*store) handler {
			return func(_ int, w http.ResponseWriter, r *http.Request) {
				http.Redirect(w, r, target, http.StatusTemporaryRedirect)
			}
		}
	}
	t.Run("followed, without a word of the URL", func(t *testing.T) {
		s := start(t, false, to(plain.presigned()))
		check(t, client(t, Options{}).Source([]string{s.presigned()}).Get(t.Context(), 0, make([]byte, 1000)), "", 0)
		if got := <-referer; got != "" {
			t.Errorf("the Referer is %q, want none", got)
		}
	})
	t.Run("not from TLS to plain text", func(t *testing.T) {
		s := start(t, true, to(plain.presigned()))
		c := client(t, Options{CA: certificate(s)})
		check(t, c.Source([]string{s.presigned()}).Get(t.Context(), 0, make([]byte, 1000)), Internal, 1)
	})
	t.Run("not in circles", func(t *testing.T) {
		s := start(t, false, to("/again?"+secret))
		check(t, client(t, Options{}).Source([]string{s.presigned()}).Get(t.Context(), 0, make([]byte, 1000)), Internal, 1)
	})
}

func TestTrust(t *testing.T) {
	segment := random(1000)
	s := start(t, true, func(*store) handler { return serve(segment) })
	get := func(c *Client) error {
		return c.Source([]string{s.presigned()}).Get(t.Context(), 0, make([]byte, 1000))
	}
	check(t, get(client(t, Options{CA: certificate(s)})), "", 0)
	check(t, get(client(t, Options{})), Network, 1) // no use in asking again
	if _, err := NewClient(Options{CA: []byte("-----BEGIN")}); err == nil {
		t.Error("a CA without a certificate is accepted")
	}
}

func TestErrorsHaveNoURL(t *testing.T) {
	c := client(t, Options{})
	for name, url := range map[string]string{
		"no host there": "http://127.0.0.1:1/x?" + secret,
		"no URL":        "http://127.0.0.1:1/%zz?" + secret,
		"no scheme":     "127.0.0.1/x?" + secret,
		"control":       "http://127.0.0.1:1/\x7f?" + secret,
	} {
		t.Run(name, func(t *testing.T) {
			for _, err := range []error{
				c.Sink([]string{url}, nil).Put(t.Context(), 0, random(10), [32]byte{}),
				c.Source([]string{url}).Get(t.Context(), 0, make([]byte, 10)),
			} {
				if err == nil || strings.Contains(err.Error(), "5ec2e7") {
					t.Errorf("error is %v, want one without the URL", err)
				}
			}
		})
	}
}
