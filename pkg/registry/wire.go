package registry

import (
	"errors"
	"fmt"
	"io"
	"net/http"
)

// errTooLarge ends an answer that no manifest and no signature is as large as.
var errTooLarge = fmt.Errorf("answer is larger than %d MiB", maxAnswer>>20)

// A plainError says to whom plain HTTP was not spoken.
type plainError struct{ host string }

func (e plainError) Error() string {
	return "plain HTTP to " + e.host + " refused; it is not among the insecure registries"
}

// A wire lets through what a Client may send and read. Everything goes through
// it, redirects and requests for tokens too, whatever the library above it
// thinks of an address.
type wire struct {
	inner    http.RoundTripper
	insecure map[string]bool
}

func (w *wire) RoundTrip(request *http.Request) (*http.Response, error) {
	host := request.URL.Host
	if request.URL.Scheme != "https" && !w.insecure[authority(host, plainPort)] {
		return nil, plainError{host}
	}
	response, err := w.inner.RoundTrip(request)
	if err != nil {
		return nil, err
	}
	switch {
	case response.StatusCode >= http.StatusBadRequest:
		// A long error page must not hide the status: the library gives up on
		// one beyond 64 KiB.
		response.Body = body{io.LimitReader(response.Body, 32<<10), response.Body}
	case request.Method != http.MethodHead && response.ContentLength > maxAnswer:
		response.Body.Close()
		return nil, errTooLarge
	default:
		response.Body = body{&limited{response.Body, maxAnswer}, response.Body}
	}
	return response, nil
}

// A body reads through something, and closes what is behind it.
type body struct {
	io.Reader
	io.Closer
}

// A limited reader fails once it has read more than left bytes.
type limited struct {
	inner io.Reader
	left  int64
}

func (l *limited) Read(p []byte) (int, error) {
	n, err := l.inner.Read(p)
	if l.left -= int64(n); l.left < 0 {
		return 0, errTooLarge
	}
	return n, err
}

// tooLarge reports whether err comes from an answer's size.
func tooLarge(err error) bool { return errors.Is(err, errTooLarge) }
