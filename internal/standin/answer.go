package standin

import (
	"bytes"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
)

// An answer is what a handler wants to be sent.
type answer struct {
	status int
	header http.Header
	body   []byte
	stream func(http.ResponseWriter) // instead of the rest

	cut   bool // the client gets nothing but a closed connection
	half  bool // the client gets half of the body
	reset bool // with cut: the connection is reset rather than closed
}

// delivered says whether the client can know what it was answered.
func (a answer) delivered() bool { return !a.cut && !a.half }

func (a answer) with(key, value string) answer {
	if a.header == nil {
		a.header = http.Header{}
	}
	a.header.Set(key, value)
	return a
}

// plain is the body of most answers of GitLab's runner API: the status.
func plain(status int) answer {
	return answer{status: status, body: []byte(strconv.Itoa(status))}.with("Content-Type", "text/plain")
}

func refuse(status int, message string) answer {
	return jsonAnswer(status, map[string]string{"message": strconv.Itoa(status) + " " + message})
}

func jsonAnswer(status int, v any) answer {
	body, err := json.Marshal(v)
	if err != nil {
		panic("standin: encode answer: " + err.Error()) // only our own types and decoded JSON come here
	}
	return answer{status: status, body: body}.with("Content-Type", "application/json")
}

func write(w http.ResponseWriter, a answer) {
	switch {
	case a.cut && a.reset:
		resetConnection(w)
	case a.cut:
		panic(http.ErrAbortHandler) // closes the connection without an answer
	case a.stream != nil:
		a.stream(w)
		return
	}
	for k, v := range a.header {
		w.Header()[k] = slices.Clone(v)
	}
	if a.status != http.StatusNoContent {
		w.Header().Set("Content-Length", strconv.Itoa(len(a.body)))
	}
	w.WriteHeader(a.status)
	if a.half {
		_, _ = w.Write(a.body[:len(a.body)/2]) // the client is cut off anyway
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}
	if a.status != http.StatusNoContent {
		_, _ = io.Copy(w, bytes.NewReader(a.body)) // a client that is gone needs no answer
	}
}

// resetConnection makes the client see "connection reset by peer".
func resetConnection(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
	panic(http.ErrAbortHandler)
}

func describe(a answer) string {
	switch {
	case a.cut:
		return "connection cut"
	case a.stream != nil:
		return "stream"
	case a.half:
		return strconv.Itoa(a.status) + ", cut in the middle"
	default:
		return strconv.Itoa(a.status)
	}
}
