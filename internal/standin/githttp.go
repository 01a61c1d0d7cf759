package standin

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/cgi"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
)

// serveGit answers git clients through git's own http-backend, and those of
// Git LFS. Only fetching is offered, and only to a job that runs, with its
// token as the password.
func (s *Server) serveGit(c *call) answer {
	path, file, _ := strings.Cut(strings.TrimPrefix(c.URL.Path, s.opts.PathPrefix+"/"), ".git/")
	_, token, ok := c.BasicAuth()
	if !ok {
		return unauthorized()
	}
	s.mu.Lock()
	j, repo := s.jobByToken(token), s.repos[path]
	running := j != nil && (j.state == Running || j.state == Canceling || j.awaiting)
	if running && file == "git-upload-pack" {
		j.event(EventFetch, 0, path)
		s.broadcast()
	}
	s.mu.Unlock()
	switch {
	case !running:
		return unauthorized()
	case repo == nil || !j.mayRead(repo):
		return plain(http.StatusNotFound) // as GitLab hides what one may not see
	case strings.HasPrefix(file, "info/lfs/") || strings.HasPrefix(file, "gitlab-lfs/"):
		return s.serveLFS(c, repo, file)
	case file == "info/refs" && c.URL.Query().Get("service") == "git-upload-pack", file == "git-upload-pack":
		return answer{stream: func(w http.ResponseWriter) { backend(w, c, repo, file) }}
	case file == "info/refs" || file == "git-receive-pack":
		return plain(http.StatusForbidden) // a job token may not push
	default:
		return plain(http.StatusNotFound)
	}
}

// unauthorized asks for credentials, git and Git LFS alike.
func unauthorized() answer {
	const realm = `Basic realm="GitLab"`
	return plain(http.StatusUnauthorized).with("WWW-Authenticate", realm).with("LFS-Authenticate", realm)
}

func (s *Server) jobByToken(token string) *Job {
	for _, j := range s.jobs {
		if j.token == token {
			return j
		}
	}
	return nil
}

func (j *Job) mayRead(r *Repository) bool {
	return j.spec.Repository == r || slices.Contains(j.spec.Access, r)
}

func backend(w http.ResponseWriter, c *call, repo *Repository, file string) {
	program, err := backendPath()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	root := filepath.Dir(repo.dir)
	h := &cgi.Handler{
		Path: program,
		Root: "/",
		Dir:  root,
		Env: append([]string{
			"GIT_PROJECT_ROOT=" + root,
			"GIT_HTTP_EXPORT_ALL=1",
			"GIT_PROTOCOL=" + c.Header.Get("Git-Protocol"),
			"PATH=" + os.Getenv("PATH"),
		}, cleanGit...),
		Logger: quiet,
	}
	r := c.Clone(c.Context())
	if r.ContentLength < 0 { // CGI knows no chunked bodies
		body, err := io.ReadAll(io.LimitReader(c.Body, maxBody))
		if err != nil {
			return // the client hung up
		}
		r.Body, r.ContentLength, r.TransferEncoding = io.NopCloser(bytes.NewReader(body)), int64(len(body)), nil
	}
	r.URL.Path = "/" + filepath.Base(repo.dir) + "/" + file
	r.Header.Del("Authorization")
	h.ServeHTTP(w, r)
}

var backendPath = sync.OnceValues(func() (string, error) {
	out, err := exec.Command("git", "--exec-path").Output()
	if err != nil {
		return "", fmt.Errorf("standin: find git http-backend: git --exec-path: %w", err)
	}
	return filepath.Join(strings.TrimSpace(string(out)), "git-http-backend"), nil
})
