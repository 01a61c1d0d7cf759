package agent_test

import (
	"encoding/pem"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/runnerd/runnerd/pkg/job"
)

const (
	gitUser     = "gitlab-ci-token"
	gitPassword = "job-token-s3cret"
)

// A gitServer serves real repositories over HTTP to who knows the password.
type gitServer struct {
	t        testing.TB
	dir      string
	url      string
	ca       string                      // PEM, of a server with TLS
	headers  atomic.Pointer[http.Header] // of the last request
	failures atomic.Int32                // requests to refuse with 503 first
	requests atomic.Int32
	onFetch  func() // before objects are sent
}

func newGitServer(t testing.TB) *gitServer { return startGitServer(t, (*httptest.Server).Start) }

// startGitServer starts the server with start, with or without TLS.
func startGitServer(t testing.TB, start func(*httptest.Server)) *gitServer {
	t.Helper()
	s := &gitServer{t: t, dir: t.TempDir()}
	backend := &cgi.Handler{
		Path:       "/usr/lib/git-core/git-http-backend",
		Env:        []string{"GIT_PROJECT_ROOT=" + s.dir, "GIT_HTTP_EXPORT_ALL=1", "GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=safe.directory", "GIT_CONFIG_VALUE_0=*"},
		InheritEnv: []string{"PATH"},
	}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.requests.Add(1)
		if user, password, ok := r.BasicAuth(); !ok || user != gitUser || password != gitPassword {
			w.Header().Set("WWW-Authenticate", `Basic realm="GitLab"`)
			http.Error(w, "HTTP Basic: Access denied", http.StatusUnauthorized)
			return
		}
		headers := r.Header.Clone()
		s.headers.Store(&headers)
		if s.failures.Add(-1) >= 0 {
			http.Error(w, "not now", http.StatusServiceUnavailable)
			return
		}
		if s.onFetch != nil && strings.HasSuffix(r.URL.Path, "/git-upload-pack") {
			s.onFetch()
		}
		if !s.serveLFS(w, r) {
			backend.ServeHTTP(w, r)
		}
	}))
	start(server)
	t.Cleanup(server.Close)
	if cert := server.Certificate(); cert != nil {
		s.ca = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw}))
	}
	s.url = server.URL
	return s
}

// repo makes a repository with files and returns its last commit.
func (s *gitServer) repo(name string, files map[string]string, args ...string) (sha string) {
	s.t.Helper()
	bare := filepath.Join(s.dir, name+".git")
	work := s.t.TempDir()
	git(s.t, "", append([]string{"init", "-q", "--bare", "-b", "main"}, append(args, bare)...)...)
	git(s.t, bare, "config", "uploadpack.allowAnySHA1InWant", "true")
	git(s.t, "", append([]string{"init", "-q", "-b", "main"}, append(args, work)...)...)
	for path, text := range files {
		path = filepath.Join(work, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			s.t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			s.t.Fatal(err)
		}
	}
	git(s.t, work, "add", "-A")
	git(s.t, work, "commit", "-q", "--allow-empty", "-m", "first")
	git(s.t, work, "push", "-q", bare, "main")
	return git(s.t, work, "rev-parse", "HEAD")
}

// commit adds a commit to a repository made by repo. modules are submodules to
// add, by path, with their URLs.
func (s *gitServer) commit(name string, files, modules map[string]string) (sha string) {
	s.t.Helper()
	bare := filepath.Join(s.dir, name+".git")
	work := s.t.TempDir()
	git(s.t, "", "clone", "-q", "-b", "main", bare, work)
	for path, text := range files {
		if err := os.WriteFile(filepath.Join(work, path), []byte(text), 0o644); err != nil {
			s.t.Fatal(err)
		}
	}
	for path, source := range modules {
		git(s.t, work, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", filepath.Join(s.dir, source+".git"), path)
		git(s.t, work, "config", "-f", ".gitmodules", "submodule."+path+".url", "../"+filepath.Base(source)+".git")
	}
	git(s.t, work, "add", "-A")
	git(s.t, work, "commit", "-q", "-m", "next")
	git(s.t, work, "push", "-q", "origin", "main")
	return git(s.t, work, "rev-parse", "HEAD")
}

func git(t testing.TB, dir string, args ...string) string {
	t.Helper()
	cmd := exec.Command("git", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1",
		"GIT_AUTHOR_NAME=A", "GIT_AUTHOR_EMAIL=a@example.com", "GIT_COMMITTER_NAME=A", "GIT_COMMITTER_EMAIL=a@example.com")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("git %q: %v\n%s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

// sources returns what fetches sha of the repository name.
func (s *gitServer) sources(name, sha string) job.Sources {
	return job.Sources{
		Strategy: job.StrategyFetch, URL: s.url + "/" + name + ".git", Username: gitUser, Password: gitPassword,
		Ref: "main", SHA: sha, Refspecs: []string{"+refs/heads/main:refs/remotes/origin/main"}, Depth: 20,
		Checkout: true, CleanFlags: []string{"-ffdx"}, FetchFlags: []string{"--prune", "--quiet"}, Attempts: 1,
		UserAgent: "runnerd 1.0 linux/amd64", Correlation: "corr-1",
	}
}
