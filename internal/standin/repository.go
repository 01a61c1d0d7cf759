package standin

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// A Repository is a bare git repository of a project. Its methods run git.
type Repository struct {
	*Project
	dir    string
	format string // of its object names; empty is sha1

	lfs map[string][]byte // object id to content; guarded by server.mu
}

// AddRepository makes a project whose branch main has one commit with files:
// slash-separated names to contents. Contents that begin with #! make an
// executable file. path is that of the project: "group/name".
func (s *Server) AddRepository(path string, files map[string]string) (*Repository, error) {
	return s.addRepository(path, "sha1", files)
}

// AddRepositorySHA256 is AddRepository with SHA-256 for the names of objects.
func (s *Server) AddRepositorySHA256(path string, files map[string]string) (*Repository, error) {
	return s.addRepository(path, "sha256", files)
}

func (s *Server) addRepository(path, format string, files map[string]string) (*Repository, error) {
	r, err := s.newRepository(path)
	if err != nil {
		return nil, err
	}
	r.format = format
	if _, err := r.git("", "init", "--bare", "--quiet", "--initial-branch=main", "--object-format="+format, r.dir); err != nil {
		return nil, err
	}
	if err := r.configure(); err != nil {
		return nil, err
	}
	_, err = r.Commit("main", files)
	return r, err
}

// ImportRepository makes a project of a copy of the repository in dir.
func (s *Server) ImportRepository(path, dir string) (*Repository, error) {
	r, err := s.newRepository(path)
	if err != nil {
		return nil, err
	}
	if _, err := r.git("", "clone", "--mirror", "--quiet", dir, r.dir); err != nil {
		return nil, err
	}
	return r, r.configure()
}

func (s *Server) newRepository(path string) (*Repository, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.repos[path] != nil {
		return nil, fmt.Errorf("standin: repository %q: there is one already", path)
	}
	if s.dir == "" {
		dir, err := os.MkdirTemp("", "standin")
		if err != nil {
			return nil, fmt.Errorf("standin: make directory for repositories: %w", err)
		}
		s.dir = dir
	}
	r := &Repository{Project: &Project{server: s, id: s.id(), path: path}}
	r.dir = filepath.Join(s.dir, fmt.Sprintf("%d.git", r.id))
	s.repos[path] = r
	return r, nil
}

// configure lets clients fetch what Gitaly lets them fetch.
func (r *Repository) configure() error {
	for _, key := range []string{"uploadpack.allowAnySHA1InWant", "uploadpack.allowFilter", "http.uploadpack"} {
		if _, err := r.git("", "-C", r.dir, "config", key, "true"); err != nil {
			return err
		}
	}
	return nil
}

// URL returns the clone URL, without credentials.
func (r *Repository) URL() string { return r.server.URL() + "/" + r.path + ".git" }

// Head returns the commit that a branch, a tag or any other revision names.
func (r *Repository) Head(rev string) (string, error) {
	return r.git("", "-C", r.dir, "rev-parse", "--verify", "--quiet", rev+"^{commit}")
}

// Commit adds a commit to a branch: files are added or replaced, all others
// stay. A branch that is not there is made from main.
func (r *Repository) Commit(branch string, files map[string]string) (string, error) {
	var changes strings.Builder
	for _, name := range slices.Sorted(maps.Keys(files)) {
		mode := "100644"
		if strings.HasPrefix(files[name], "#!") {
			mode = "100755"
		}
		fmt.Fprintf(&changes, "M %s inline %q\ndata %d\n%s\n", mode, name, len(files[name]), files[name])
	}
	return r.commit(branch, changes.String())
}

// AddSubmodule adds sub as a submodule of a branch, at the head of its main.
// url is what .gitmodules names; it may be relative.
func (r *Repository) AddSubmodule(branch, name string, sub *Repository, url string) (string, error) {
	head, err := sub.Head("main")
	if err != nil {
		return "", err
	}
	modules := r.show(branch, ".gitmodules")
	modules += fmt.Sprintf("\n[submodule %q]\n\tpath = %s\n\turl = %s\n", name, name, url)
	changes := fmt.Sprintf("M 100644 inline .gitmodules\ndata %d\n%s\nM 160000 %s %q\n", len(modules), modules, head, name)
	return r.commit(branch, changes)
}

// show is a file of a branch, or of main when the branch is not there yet;
// nothing when there is no such file.
func (r *Repository) show(branch, file string) string {
	if _, err := r.Head("refs/heads/" + branch); err != nil {
		branch = "main"
	}
	text, err := r.git("", "-C", r.dir, "show", branch+":"+file)
	if err != nil {
		return ""
	}
	return text
}

// commit runs git fast-import with one commit.
func (r *Repository) commit(branch, changes string) (string, error) {
	from := ""
	for _, base := range []string{branch, "main"} {
		if sha, err := r.Head("refs/heads/" + base); err == nil {
			from = "from " + sha + "\n"
			break
		}
	}
	message := "Change " + branch + "\n"
	script := fmt.Sprintf("commit refs/heads/%s\ncommitter Dev <dev@example.com> now\ndata %d\n%s%s%s\n",
		branch, len(message), message, from, changes)
	if _, err := r.git(script, "-C", r.dir, "fast-import", "--quiet", "--date-format=now"); err != nil {
		return "", err
	}
	return r.Head("refs/heads/" + branch)
}

// Tag makes a tag.
func (r *Repository) Tag(name, sha string) error {
	return r.setRef("refs/tags/"+name, sha)
}

// MergeRequest makes the head ref of a merge request,
// refs/merge-requests/<iid>/head.
func (r *Repository) MergeRequest(iid int, sha string) error {
	return r.setRef(fmt.Sprintf("refs/merge-requests/%d/head", iid), sha)
}

func (r *Repository) setRef(ref, sha string) error {
	_, err := r.git("", "-C", r.dir, "update-ref", ref, sha)
	return err
}

// keepPipeline finds the commit of a new job and makes the persistent ref of
// its pipeline (3.3).
func (r *Repository) keepPipeline(j *Job) error {
	sha := j.spec.SHA
	if sha == "" {
		head, err := r.Head(j.spec.ref())
		if err != nil {
			return err
		}
		sha = head
	}
	r.server.mu.Lock()
	j.sha = sha
	r.server.mu.Unlock()
	return r.setRef(fmt.Sprintf("refs/pipelines/%d", j.pipeline), sha)
}

// git runs git apart from the user's configuration and returns its trimmed
// output.
func (r *Repository) git(stdin string, args ...string) (string, error) {
	cmd := exec.CommandContext(context.Background(), "git", args...) // short and local
	inherited := slices.DeleteFunc(os.Environ(), func(kv string) bool { return strings.HasPrefix(kv, "GIT_") })
	cmd.Env = append(inherited, cleanGit...)
	cmd.Stdin = strings.NewReader(stdin)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		why := strings.TrimSpace(stderr.String())
		return "", fmt.Errorf("standin: repository %q: git %s: %w", r.path, strings.Join(args, " "), errors.Join(err, errors.New(why)))
	}
	return strings.TrimSpace(string(out)), nil
}

// cleanGit keeps the machine's and the user's git configuration out.
var cleanGit = []string{"GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null", "LC_ALL=C"}
