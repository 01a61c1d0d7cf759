//go:build e2e

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/runnerd/runnerd/internal/standin"
)

// A GitLab behind TLS that takes nobody without a client certificate: the
// daemon, git and the artifacts of jobs show the one of the config, and scripts
// find it in files.
func TestClientCertificate(t *testing.T) {
	t.Parallel()
	s := start(t, admitted(t, options{}))
	made := standin.Artifact{Paths: []string{"made.txt"}, Type: "archive", Format: "zip"}
	build := s.add(standin.JobSpec{Name: "build", Artifacts: []standin.Artifact{made}, Script: []string{
		"cat README.md", "echo made > made.txt", `echo "key in $CI_SERVER_TLS_KEY_FILE"`, `cat "$CI_SERVER_TLS_KEY_FILE"`, `cat "$CI_SERVER_TLS_CERT_FILE"`,
		`grep -c PRIVATE "$CI_SERVER_TLS_KEY_FILE"`,
	}})
	s.finish(build, standin.Success)
	text := build.Text()
	cert, key := s.gitlab.ClientCertificate()
	for _, want := range []string{"\nhello\n", ".tmp/CI_SERVER_TLS_KEY_FILE\n", strings.TrimSpace(string(cert)), "\n2\n"} {
		if !strings.Contains(text, want) {
			t.Errorf("the log lacks %q:\n%s", want, text)
		}
	}
	if lines := strings.Split(string(key), "\n"); strings.Contains(text, lines[1]) {
		t.Error("the log shows the key")
	}
	if n := len(build.Uploads()); n != 1 {
		t.Fatalf("%d artifacts were uploaded, want 1", n)
	}
	test := s.add(standin.JobSpec{Name: "test", DependsOn: []*standin.Job{build}, Script: []string{"cat made.txt"}})
	s.finish(test, standin.Success)
	if !strings.Contains(test.Text(), "\nmade\n") {
		t.Errorf("the artifacts of the job before are not there:\n%s", test.Text())
	}
}

// admitted is o with a GitLab that wants a client certificate, and with a runner
// that has one.
func admitted(t testing.TB, o options) options {
	dir := t.TempDir()
	file := func(name string) string { return filepath.Join(dir, name) }
	o.gitlab.TLS, o.gitlab.TLSClients = true, true
	o.runner += fmt.Sprintf("tls-cert-file = %q\ntls-key-file = %q\n", file("cert.pem"), file("key.pem"))
	o.more = func(s *site) string {
		cert, key := s.gitlab.ClientCertificate()
		for name, text := range map[string][]byte{"cert.pem": cert, "key.pem": key} {
			if err := os.WriteFile(file(name), text, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		return ""
	}
	return o
}
