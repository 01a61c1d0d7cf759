package artifact_test

import (
	"encoding/pem"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/runnerd/runnerd/internal/standin"
	"github.com/runnerd/runnerd/pkg/artifact"
	"github.com/runnerd/runnerd/pkg/gitlab"
	"github.com/runnerd/runnerd/pkg/job"
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

// A GitLab that asks who it talks to is shown the client certificate, for
// uploads and for downloads.
func TestClientCertificate(t *testing.T) {
	s := &site{t: t, gitlab: standin.Start(t, standin.Options{TLS: true, TLSClients: true}), dir: t.TempDir()}
	cert, key := s.gitlab.ClientCertificate()
	files := gitlab.TLS{CertDir: t.TempDir()}
	for name, text := range map[string][]byte{"crt": s.gitlab.CACertificate(), "auth.crt": cert, "auth.key": key} {
		must(t, os.WriteFile(filepath.Join(files.CertDir, "127.0.0.1."+name), text, 0o600))
	}
	runner := s.gitlab.AddRunner(standin.RunnerSpec{})
	var err error
	s.runner, err = gitlab.New(gitlab.Config{URL: s.gitlab.URL(), Token: job.Secret(runner.Token()), SystemID: "r_0123456789ab", TLS: files})
	must(t, err)
	defer s.runner.Close()
	s.write("a", "text")
	s.open()
	j := s.run(standin.JobSpec{Name: "build", Artifacts: []standin.Artifact{{Paths: []string{"a"}, Type: "archive", Format: "zip"}}})

	options := artifact.Options{
		API: s.gitlab.URL() + "/api/v4/", UserAgent: "runnerd test", CA: s.gitlab.CACertificate(), Pause: func(int) time.Duration { return time.Millisecond },
	}
	nobody, err := artifact.NewClient(options)
	must(t, err)
	defer nobody.Close()
	_, err = nobody.Upload(soon(t), s.root, s.of(j, "a"))
	says(t, err, "certificate required")

	options.ClientCert, options.ClientKey = cert, key
	client, err := artifact.NewClient(options)
	must(t, err)
	defer client.Close()
	_, err = client.Upload(soon(t), s.root, s.of(j, "a"))
	must(t, err)
	s.client = client
	build, after := s.built(zipped(t, item{"b", 0o644, "text"}))
	if text, err := s.download(build, after, false); err != nil || len(text) == 0 {
		t.Errorf("%d bytes of artifacts came back: %v", len(text), err)
	}
}

func TestClientCertificateThatIsNone(t *testing.T) {
	_, err := artifact.NewClient(artifact.Options{API: "https://gitlab.example.com/api/v4/", ClientCert: []byte("no PEM")})
	says(t, err, "artifacts: client certificate: ")
}

func TestClientRefuses(t *testing.T) {
	for api, ca := range map[string]string{"": "", "gitlab.example.com": "", "https://gitlab.example.com/api/v4/": "no certificate"} {
		if _, err := artifact.NewClient(artifact.Options{API: api, CA: []byte(ca)}); err == nil || !strings.HasPrefix(err.Error(), "artifacts: ") {
			t.Errorf("client for %q with CA %q: %v", api, ca, err)
		}
	}
}
