package transfer

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"testing"
	"time"
)

func TestPut(t *testing.T) {
	segment := random(3 << 20)
	tests := []struct {
		name    string
		handler func(s *store) handler
		stall   time.Duration
		want    Code
		tries   int // of the request
		stored  bool
	}{
		{name: "stored", handler: func(s *store) handler { return s.accept }, tries: 1, stored: true},
		{
			name:    "overloaded twice, then stored",
			handler: func(s *store) handler { return then(status(503, ""), status(429, ""), s.accept) },
			tries:   3, stored: true,
		},
		{
			name:    "never up",
			handler: func(*store) handler { return status(500, "<html>bad gateway?"+secret) },
			want:    Network, tries: 4,
		},
		{
			name:    "reset before a byte is read, then stored",
			handler: func(s *store) handler { return then(reset(0, nil), s.accept) },
			tries:   2, stored: true,
		},
		{
			name:    "reset in the middle, then stored",
			handler: func(s *store) handler { return then(reset(1<<20, nil), s.accept) },
			tries:   2, stored: true,
		},
		{
			name:    "silence, then stored",
			handler: func(s *store) handler { return then(hang(nil), s.accept) },
			stall:   2 * time.Second, tries: 2, stored: true,
		},
		{
			name:    "silence for good",
			handler: func(*store) handler { return hang(nil) },
			stall:   50 * time.Millisecond, want: Network, tries: 4,
		},
		{
			name:    "answer lost, the object is there",
			handler: func(*store) handler { return then(reset(3<<20, nil), status(412, xmlError("PreconditionFailed", ""))) },
			tries:   2,
		},
		{
			name:    "somebody else's object is there",
			handler: func(*store) handler { return status(412, xmlError("PreconditionFailed", "")) },
			want:    Conflict, tries: 1,
		},
		{
			name:    "expired",
			handler: func(*store) handler { return status(403, xmlError("AccessDenied", "Request has expired")) },
			want:    Expired, tries: 1,
		},
		{
			name:    "the signer's session expired",
			handler: func(*store) handler { return status(400, xmlError("ExpiredToken", "The provided token has expired.")) },
			want:    Expired, tries: 1,
		},
		{
			name:    "denied",
			handler: func(*store) handler { return status(403, xmlError("AccessDenied", "Access Denied.")) },
			want:    Denied, tries: 1,
		},
		{
			name:    "denied by something that speaks no XML",
			handler: func(*store) handler { return status(403, "go away: "+secret) },
			want:    Denied, tries: 1,
		},
		{
			name:    "a message with the URL in it",
			handler: func(*store) handler { return status(400, xmlError("InvalidRequest", "cannot handle /x?"+secret)) },
			want:    Internal, tries: 1,
		},
		{
			name: "redirected",
			handler: func(s *store) handler {
				return func(_ int, w http.ResponseWriter, r *http.Request) {
					http.Redirect(w, r, s.URL+"/elsewhere", http.StatusTemporaryRedirect)
				}
			},
			want: Internal, tries: 1,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := start(t, false, tt.handler)
			sink := client(t, Options{Stall: tt.stall}).Sink([]string{s.presigned()}, nil)
			err := sink.Put(t.Context(), 0, segment, [32]byte{})
			check(t, err, tt.want, tt.tries)
			if got := int(s.tries.Load()); got != tt.tries {
				t.Errorf("%d requests, want %d", got, tt.tries)
			}
			if got := s.got.Load(); tt.stored && (got == nil || !bytes.Equal(*got, segment)) {
				t.Error("what is stored is not the segment")
			}
		})
	}
}

// A store that refuses on sight closes the connection under the body. The
// refusal must not be taken for a broken network.
func TestPutRefusedOnSight(t *testing.T) {
	answer := "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
	s := start(t, false, func(*store) handler {
		return func(_ int, w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Expect") == "" {
				reset(0, nil)(0, w, r)
				return
			}
			reset(0, []byte(answer))(0, w, r)
		}
	})
	err := client(t, Options{}).Sink([]string{s.presigned()}, nil).Put(t.Context(), 0, random(16<<20), [32]byte{})
	check(t, err, Denied, 2)
}

func TestPutRequest(t *testing.T) {
	seen := make(chan *http.Request, 1)
	s := start(t, false, func(s *store) handler {
		return func(try int, w http.ResponseWriter, r *http.Request) {
			s.accept(try, w, r)
			seen <- r
		}
	})
	c := client(t, Options{})
	sink := c.Sink([]string{"http://127.0.0.1:1/", s.presigned()}, map[string]string{"If-None-Match": "*", "x-amz-meta-a": "b"})
	if err := sink.Put(t.Context(), 1, random(1000), [32]byte{}); err != nil {
		t.Fatal(err)
	}
	r := <-seen
	if r.Method != http.MethodPut || r.RequestURI != "/bucket/segment?"+secret || r.ContentLength != 1000 || len(r.TransferEncoding) > 0 || r.ProtoMajor != 1 {
		t.Errorf("request is %s %s, length %d %v, HTTP/%d", r.Method, r.RequestURI, r.ContentLength, r.TransferEncoding, r.ProtoMajor)
	}
	want := map[string]string{
		"If-None-Match": "*", "X-Amz-Meta-A": "b", "User-Agent": "runnerd test",
		"Accept-Encoding": "", "Content-Type": "", "Expect": "",
	}
	for name, value := range want {
		if got := r.Header.Get(name); got != value {
			t.Errorf("header %s is %q, want %q", name, got, value)
		}
	}
	if c.Sent() != 1000 {
		t.Errorf("%d bytes sent, want 1000", c.Sent())
	}
	check(t, sink.Put(t.Context(), 2, random(1), [32]byte{}), Internal, 0)
}

// The body is the caller's as soon as Put returns, even if the transport has
// not noticed yet that nobody wants it any more. The race detector looks on.
func TestPutLetsGoOfItsBody(t *testing.T) {
	s := start(t, false, func(*store) handler {
		return func(_ int, w http.ResponseWriter, r *http.Request) {
			_ = http.NewResponseController(w).EnableFullDuplex()
			_, _ = io.CopyN(io.Discard, r.Body, 1)
			w.WriteHeader(http.StatusBadRequest)
		}
	})
	c := client(t, Options{})
	body := random(8 << 20)
	for range 20 {
		err := c.Sink([]string{s.presigned()}, nil).Put(t.Context(), 0, body, [32]byte{})
		clear(body)
		var e *Error
		if !errors.As(err, &e) {
			t.Fatalf("error is %v, want an *Error", err)
		}
	}
}

func TestPutCancelled(t *testing.T) {
	why := errors.New("the job was cancelled")
	ctx, cancel := context.WithCancelCause(t.Context())
	s := start(t, false, func(*store) handler {
		return func(try int, w http.ResponseWriter, r *http.Request) {
			cancel(why)
			hang(nil)(try, w, r)
		}
	})
	err := client(t, Options{}).Sink([]string{s.presigned()}, nil).Put(ctx, 0, random(1000), [32]byte{})
	if !errors.Is(err, why) || s.tries.Load() != 1 {
		t.Errorf("error is %v after %d tries, want %v after one", err, s.tries.Load(), why)
	}
}

// Between two tries, too, a cancel is at once.
func TestPutCancelledInAPause(t *testing.T) {
	why := errors.New("the job was cancelled")
	ctx, cancel := context.WithCancelCause(t.Context())
	s := start(t, false, func(*store) handler {
		return func(try int, w http.ResponseWriter, r *http.Request) {
			context.AfterFunc(r.Context(), func() { cancel(why) }) // when the answer is out
			status(500, "")(try, w, r)
		}
	})
	c := client(t, Options{Pauses: []time.Duration{time.Hour}})
	if err := c.Sink([]string{s.presigned()}, nil).Put(ctx, 0, random(1000), [32]byte{}); !errors.Is(err, why) {
		t.Errorf("error is %v, want %v", err, why)
	}
}
