package registry

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"unicode"

	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
)

func (s *session) errorf(kind Kind, format string, a ...any) *Error {
	return &Error{Kind: kind, Image: s.image.name, Registry: s.image.host, verb: s.verb, text: fmt.Sprintf(format, a...)}
}

// fail says what an error of the library means, in words that hold nothing
// which the registry has chosen freely.
func (s *session) fail(ctx context.Context, err error) *Error {
	if ended := ctx.Err(); ended != nil {
		e := s.errorf(Unreachable, "the question was given up")
		if errors.Is(ended, context.DeadlineExceeded) {
			e = s.errorf(Unreachable, "no answer within %v; check that it can be reached from here", s.timeout)
		}
		e.ended = ended
		return e
	}
	var certificate *tls.CertificateVerificationError
	if errors.As(err, &certificate) {
		return s.errorf(Unreachable, "shows a certificate that does not count here: %s; have it fixed, or make its authority known to this machine",
			oneLine(certificate.Err.Error()))
	}
	var answer *transport.Error
	if errors.As(err, &answer) {
		return s.answered(answer)
	}
	switch {
	case errors.Is(err, http.ErrSchemeMismatch):
		return s.errorf(Unreachable, "speaks plain HTTP, which is done only with the registries listed as insecure; give it TLS, or list it")
	case tooLarge(err):
		return s.errorf(Malformed, "%v, which no manifest and no signature is; look at what it serves", errTooLarge)
	case isNetwork(err):
		return s.errorf(Unreachable, "cannot be reached: %s; check the name, and that it can be reached from here", s.reason(err))
	}
	return s.errorf(Malformed, "does not answer as a registry does: %s", s.reason(err))
}

// isNetwork reports whether err came instead of an answer.
func isNetwork(err error) bool {
	var network net.Error
	return errors.As(err, &network) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}

// answered says what an answer's status means.
func (s *session) answered(a *transport.Error) *Error {
	status := statusText(a)
	switch {
	case a.StatusCode == http.StatusNotFound:
		return s.errorf(NotFound, "has no %s (%s); check the name", s.image.sought(), status)
	case a.StatusCode == http.StatusUnauthorized, a.StatusCode == http.StatusForbidden:
		if s.login == nil {
			return s.errorf(Denied, "denies %s (%s), and the job has no credentials for it; check the name, or give the job some", s.image.sought(), status)
		}
		return s.errorf(Denied, "denies %s to the job's credentials (%s); check the name, and what they allow", s.image.sought(), status)
	case a.StatusCode == http.StatusTooManyRequests:
		return s.errorf(Unreachable, "takes no more requests now (%s); try again later, or use credentials that may ask more often", status)
	case a.StatusCode >= http.StatusInternalServerError, a.StatusCode == http.StatusRequestTimeout:
		return s.errorf(Unreachable, "is in trouble (%s); try again later", status)
	}
	return s.errorf(Malformed, "does not answer as a registry does (%s)", status)
}

// sought is what is looked for, as the registry calls it.
func (im image) sought() string {
	if im.pinned != "" {
		return im.path + "@" + im.pinned
	}
	return im.path + ":" + im.tag
}

// statusText is an answer's status with the codes that came with it; the words
// that came too are the registry's.
func statusText(a *transport.Error) string {
	text := strings.TrimSpace(fmt.Sprintf("%d %s", a.StatusCode, http.StatusText(a.StatusCode)))
	for _, d := range a.Errors {
		if code := string(d.Code); code != "" && len(code) <= 32 && strings.Trim(code, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_") == "" {
			text += " " + code
		}
	}
	return oneLine(text)
}

// reason is the short form of an error of the network: no URL, since a redirect's
// query may be as good as a password.
func (s *session) reason(err error) string {
	var plain plainError
	var requested *url.Error
	switch {
	case errors.As(err, &requested):
		err = requested.Err
	case errors.As(err, &plain):
		return plain.Error()
	}
	// What follows a line's end is an answer's own text.
	text, _, _ := strings.Cut(err.Error(), "\n")
	return oneLine(s.hide(text))
}

// oneLine makes foreign text fit for a message.
func oneLine(text string) string {
	text = strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, text)
	if runes := []rune(text); len(runes) > 200 {
		return string(runes[:200]) + "…"
	}
	return text
}
