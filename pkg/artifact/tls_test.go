package artifact_test

import (
	"encoding/pem"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/runnerd/runnerd/pkg/artifact"
)

// GitLab's own authority is trusted when it is named, and only then; and the
// token never leaves a connection with TLS for one without.
func TestTLS(t *testing.T) {
	plain := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the token was sent without TLS") }))
	defer plain.Close()
	moved := false
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if moved {
			http.Redirect(w, r, plain.URL, http.StatusTemporaryRedirect)
			return
		}
		_, _ = io.Copy(io.Discard, r.Body)
		w.WriteHeader(http.StatusCreated)
	}))
	srv.Config.ErrorLog = log.New(io.Discard, "", 0) // the handshake that fails on purpose
	srv.StartTLS()
	defer srv.Close()
	s := &site{t: t, dir: t.TempDir()}
	s.write("a", "text")
	s.open()
	upload := func(ca []byte) error {
		c, err := artifact.NewClient(artifact.Options{
			API: srv.URL + "/api/v4/", CA: ca, Pause: func(int) time.Duration { return time.Millisecond },
		})
		must(t, err)
		defer c.Close()
		_, err = c.Upload(soon(t), s.root, artifact.Upload{JobID: 1, Token: "t", FileName: "a", Format: artifact.Raw, Entries: s.collect("a").Entries})
		return err
	}
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw})
	must(t, upload(ca))
	says(t, upload(nil), "certificate")
	moved = true
	says(t, upload(ca), "a place that cannot be used")
}

func TestClientRefuses(t *testing.T) {
	for api, ca := range map[string]string{"": "", "gitlab.example.com": "", "https://gitlab.example.com/api/v4/": "no certificate"} {
		if _, err := artifact.NewClient(artifact.Options{API: api, CA: []byte(ca)}); err == nil || !strings.HasPrefix(err.Error(), "artifacts: ") {
			t.Errorf("client for %q with CA %q: %v", api, ca, err)
		}
	}
}
