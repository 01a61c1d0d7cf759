package artifact

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// An answer is what a server said to a request, without a body that matters.
type answer struct {
	status   int
	header   http.Header
	location *url.URL
	said     string // why it refuses, for people; may be empty
}

// maxSaid is how much is read of what a server says about a refusal.
const maxSaid = 64 << 10

// read takes the answer in. Its body is closed.
func read(resp *http.Response) *answer {
	defer resp.Body.Close()
	a := &answer{status: resp.StatusCode, header: resp.Header}
	a.location, _ = resp.Location() // nil when there is none, which the caller sees
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxSaid))
	if err == nil && resp.StatusCode >= http.StatusBadRequest {
		a.said = message(resp.Header.Get("Content-Type"), text)
	}
	return a
}

// message finds what a server says in JSON. Pages of proxies say nothing that
// the status does not.
func message(contentType string, text []byte) string {
	var said struct {
		Message any    `json:"message"`
		Error   string `json:"error"`
	}
	if !strings.HasPrefix(contentType, "application/json") || json.Unmarshal(text, &said) != nil {
		return ""
	}
	switch m := said.Message.(type) {
	case nil:
		return clean(said.Error)
	case string:
		return clean(m)
	default:
		return clean(fmt.Sprint(m))
	}
}

// clean makes what a server says fit for one line of a log.
func clean(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return -1
		}
		return r
	}, s)
	return strings.ToValidUTF8(s[:min(len(s), 200)], "")
}

// A StatusError is an answer that is not the one that was hoped for.
type StatusError struct {
	Status  int
	Said    string // by the server; may be empty
	Meaning string // for the job's author; may be empty
	Fatal   bool   // another try cannot help
}

func (e *StatusError) Error() string {
	text := fmt.Sprintf("%d %s", e.Status, http.StatusText(e.Status))
	if e.Meaning != "" {
		text = e.Meaning + " (" + text + ")"
	}
	if e.Said != "" && !strings.Contains(text, e.Said) {
		text += ": " + e.Said
	}
	return text
}

// plainly takes the URL off an error of net/http: it may be presigned, or as
// long as a line.
func plainly(err error) error {
	var withURL *url.Error
	if errors.As(err, &withURL) {
		return withURL.Err
	}
	return err
}

func isFatal(err error) bool {
	var status *StatusError
	return errors.As(err, &status) && status.Fatal
}
