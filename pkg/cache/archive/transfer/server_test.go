package transfer

import (
	"bytes"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// secret must never be seen outside of a request.
const secret = "X-Amz-Signature=5ec2e7"

// A handler answers the try with that number, from 0.
type handler func(try int, w http.ResponseWriter, r *http.Request)

// then answers the first tries with the handlers, and all later ones with the
// last of them.
func then(handlers ...handler) handler {
	return func(try int, w http.ResponseWriter, r *http.Request) {
		handlers[min(try, len(handlers)-1)](try, w, r)
	}
}

type store struct {
	*httptest.Server
	tries atomic.Int32
	got   atomic.Pointer[[]byte] // what the last accepted PUT has brought
}

func (s *store) presigned() string { return s.URL + "/bucket/segment?" + secret }

// start starts a store over TLS or not. A handler that blocks has to look at
// the request's context.
func start(t *testing.T, tls bool, h func(s *store) handler) *store {
	t.Helper()
	s := &store{}
	handle := h(s)
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		handle(int(s.tries.Add(1))-1, w, r)
	}))
	if tls {
		s.StartTLS()
	} else {
		s.Start()
	}
	t.Cleanup(s.Close)
	return s
}

func (s *store) accept(_ int, w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the client has gone
	}
	s.got.Store(&body)
	w.WriteHeader(http.StatusOK)
}

func status(code int, body string) handler {
	return func(_ int, w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.WriteHeader(code)
		fmt.Fprint(w, body)
	}
}

func xmlError(code, message string) string {
	return fmt.Sprintf(`<?xml version="1.0" encoding="UTF-8"?><Error><Code>%s</Code><Message>%s</Message><Resource>/bucket/segment?%s</Resource></Error>`, code, message, secret)
}

// reset reads and writes some bytes, and then breaks the connection.
func reset(reads int, writes []byte) handler {
	return func(_ int, w http.ResponseWriter, r *http.Request) {
		_, _ = io.CopyN(io.Discard, r.Body, int64(reads))
		conn, buf, err := http.NewResponseController(w).Hijack()
		if err != nil {
			panic(err)
		}
		_, _ = buf.Write(writes)
		_ = buf.Flush()
		_ = conn.(*net.TCPConn).SetLinger(0)
		_ = conn.Close()
	}
}

// hang writes some bytes, and then nothing until the client has gone.
func hang(writes []byte) handler {
	return func(_ int, w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write(writes)
		if len(writes) > 0 {
			_ = http.NewResponseController(w).Flush()
		}
		_, _ = io.Copy(io.Discard, r.Body) // only then does the server see that the client goes
		<-r.Context().Done()
	}
}

func client(t *testing.T, o Options) *Client {
	t.Helper()
	o.UserAgent = "runnerd test"
	if o.Pauses == nil {
		o.Pauses = make([]time.Duration, 3)
	}
	if o.Stall == 0 {
		o.Stall = 30 * time.Second
	}
	c, err := NewClient(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func certificate(s *store) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
}

// random returns n bytes that are not all alike.
func random(n int) []byte {
	b := bytes.Repeat([]byte("0123456789abcdefghijklmnopqrstuvwxyz"), n/36+1)
	return b[:n]
}

// check compares err with what was wanted: "" is no error at all.
func check(t *testing.T, err error, want Code, tries int) {
	t.Helper()
	var e *Error
	switch {
	case err == nil && want == "":
		return
	case err == nil || want == "":
		t.Fatalf("error is %v, want one with code %q", err, want)
	case !errors.As(err, &e):
		t.Fatalf("error is %T (%v), want an *Error", err, err)
	}
	if e.Code != want || e.Tries != tries {
		t.Errorf("error %q has code %q after %d tries, want %q after %d", e, e.Code, e.Tries, want, tries)
	}
	if strings.Contains(fmt.Sprintf("%v %+v %q", err, e, e.Err), "5ec2e7") {
		t.Errorf("error shows the URL's query: %+v", e)
	}
}
