package artifact_test

import (
	"archive/zip"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"sync"

	"github.com/runnerd/runnerd/pkg/confine"
)

func (s *site) open() {
	s.t.Helper()
	var err error
	s.root, err = confine.Open(s.dir)
	must(s.t, err)
	s.t.Cleanup(func() { s.root.Close() })
}

// received is what a server has got, in a file.
type received struct {
	s    *site
	url  string
	file *os.File
}

// receive starts a server that calls once when the first bytes are there, and
// only then reads on.
func (s *site) receive(once func()) *received {
	s.t.Helper()
	r := &received{s: s}
	var err error
	r.file, err = os.CreateTemp(s.t.TempDir(), "")
	must(s.t, err)
	s.t.Cleanup(func() { r.file.Close() })
	first := sync.OnceFunc(once)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		parts, err := req.MultipartReader()
		if err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		part, err := parts.NextPart()
		if err == nil {
			_, err = io.CopyN(r.file, part, 1)
		}
		first()
		if err == nil {
			_, err = io.Copy(r.file, part)
		}
		if _, end := parts.NextPart(); err != nil || end != io.EOF {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		w.WriteHeader(http.StatusCreated)
	}))
	s.t.Cleanup(srv.Close)
	r.url = srv.URL + "/api/v4/"
	return r
}

func (r *received) zip() *zip.Reader {
	r.s.t.Helper()
	info, err := r.file.Stat()
	must(r.s.t, err)
	z, err := zip.NewReader(r.file, info.Size())
	must(r.s.t, err)
	return z
}

// readAll reads all files, and so checks their sums.
func readAll(z *zip.Reader) error {
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			return err
		}
		if _, err = io.Copy(io.Discard, r); err != nil {
			return err
		}
	}
	return nil
}
