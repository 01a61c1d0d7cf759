package agent_test

import (
	"bytes"
	"io"
	"log"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/runnerd/runnerd/pkg/cacert"
	"github.com/runnerd/runnerd/pkg/job"
)

// TestAuthority: programs of a script are led to one file with the operator's
// authorities, the image's, those that the image's own variables name, and GitLab's;
// what the job sets itself stays.
func TestAuthority(t *testing.T) {
	t.Parallel()
	_, operators, key := selfSigned(t)
	_, images, _ := selfSigned(t)
	_, gitlabs, _ := selfSigned(t)
	p := newPod(t,
		`for v in SSL_CERT_FILE GIT_SSL_CAINFO NODE_EXTRA_CA_CERTS REQUESTS_CA_BUNDLE RUNNERD_CA_BUNDLE; do eval "test \"\$$v\" = \"$SSL_CERT_FILE\"" && n=$((n+1)); done; echo "same: $n"`,
		`echo "mine: $CURL_CA_BUNDLE"`, `stat -c 'mode %a' "$SSL_CERT_FILE" "$(dirname "$SSL_CERT_FILE")"`, `cp "$SSL_CERT_FILE" bundle`,
		`echo "java: ${JAVA_TOOL_OPTIONS%%=*}"`, `cp "$(dirname "$SSL_CERT_FILE")/truststore.p12" store`,
	)
	write := func(name, text string) string {
		t.Helper()
		path := p.path(name)
		if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
		return path
	}
	p.build.Authority = write("ca.crt", operators+"# not for jobs\n"+key)
	p.helper.Authority = p.build.Authority
	if err := os.Mkdir(p.path("bin"), 0o755); err != nil {
		t.Fatal(err)
	}
	write("bin/java", "")
	p.env = append(os.Environ(), "REQUESTS_CA_BUNDLE="+write("image.pem", images), "JAVA_TOOL_OPTIONS=-Xmx1g", "PATH="+os.Getenv("PATH")+":"+p.path("bin"))
	p.helper.Variables = []job.Variable{{Key: "CI_SERVER_TLS_CA_FILE", Value: gitlabs, File: true}}
	p.build.Variables = []job.Variable{
		{Key: "CURL_CA_BUNDLE", Value: "/mine"},
		{Key: "CI_SERVER_TLS_CA_FILE", Value: p.helper.TempDir + "/CI_SERVER_TLS_CA_FILE", File: true},
	}
	wantOutcome(t, p.run(), exited(0))
	p.wants("same: 5", "mine: /mine", "mode 644", "mode 755", "java: -Xmx1g -Djavax.net.ssl.trustStore")
	got, err := os.ReadFile(filepath.Join(p.helper.ProjectDir, "bundle"))
	if err != nil {
		t.Fatal(err)
	}
	if want := cacert.Merge(cacert.SystemBundle(), []byte(images+gitlabs+operators)); !bytes.Equal(got, want) {
		t.Errorf("the bundle has %d certificates, want %d: the system's and three", bytes.Count(got, []byte("BEGIN")), bytes.Count(want, []byte("BEGIN")))
	}
	if store, err := os.Stat(filepath.Join(p.helper.ProjectDir, "store")); err != nil || store.Size() < 1000 {
		t.Errorf("the truststore: %v", err)
	}
	if left, err := filepath.Glob(p.path("share", "handover", "trust-*")); err != nil || len(left) > 0 {
		t.Errorf("left over: %q (%v)", left, err)
	}
}

// TestAuthorityForGit: git trusts a server whose certificate the operator's authority
// has signed, though GitLab was seen with another one.
func TestAuthorityForGit(t *testing.T) {
	t.Parallel()
	_, another, _ := selfSigned(t)
	s := startGitServer(t, func(server *httptest.Server) {
		server.Config.ErrorLog = log.New(io.Discard, "", 0)
		server.StartTLS()
	})
	sha := s.repo("group/project", map[string]string{"README": "hello\n"})
	p := newPod(t, "cat README")
	p.helper.Sources = s.sources("group/project", sha)
	p.helper.Sources.CA = another
	p.helper.Authority = p.path("ca.crt")
	p.build.Authority = p.helper.Authority
	if err := os.WriteFile(p.helper.Authority, []byte(s.ca), 0o644); err != nil {
		t.Fatal(err)
	}
	wantOutcome(t, p.run(), exited(0))
	p.wants("hello")
}

func TestAuthorityWithoutCertificate(t *testing.T) {
	t.Parallel()
	p := newPod(t, "echo no")
	p.helper.Authority = p.path("ca.crt")
	if err := os.WriteFile(p.helper.Authority, []byte("rubbish"), 0o644); err != nil {
		t.Fatal(err)
	}
	result := p.run()
	if result.State != job.Failed || result.Reason != job.RunnerConfigurationError || !strings.Contains(result.Message, "ca_bundle holds no certificate") {
		t.Errorf("result %+v, want that ca_bundle holds no certificate", result)
	}
}
