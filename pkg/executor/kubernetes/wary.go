package kubernetes

import (
	"io"
	"time"
)

// When a log stream may have lost its file, and how long it then may be quiet.
const (
	waryBytes = 1 << 20
	waryStall = time.Second
	waryQuiet = 3 * time.Second
)

// A waryReader breaks off a log stream that may never say anything again.
//
// A kubelet begins to watch for a new log file only once it has come to the end
// of the first; if the node rotates the file before that, the stream goes on
// waiting at the end of the old one (seen with Kubernetes 1.35). That takes a
// reader who is behind, so that a stream which carried much or was left waiting
// is not trusted when it falls silent: a new one costs one request.
type waryReader struct {
	in       io.Reader
	breakOff func() // ends a Read that blocks

	bytes    int64
	wary     bool
	returned time.Time // when the last Read did
}

func (w *waryReader) Read(p []byte) (int, error) {
	if !w.returned.IsZero() && time.Since(w.returned) > waryStall {
		w.wary = true
	}
	if w.wary {
		timer := time.AfterFunc(waryQuiet, w.breakOff)
		defer timer.Stop()
	}
	n, err := w.in.Read(p)
	w.bytes += int64(n)
	w.wary = w.wary || w.bytes > waryBytes
	w.returned = time.Now()
	return n, err
}
