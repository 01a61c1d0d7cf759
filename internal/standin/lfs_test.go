package standin_test

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/runnerd/runnerd/internal/standin"
)

func TestLFS(t *testing.T) {
	c := newNetworked(t, standin.Options{PathPrefix: "/gitlab"})
	repo, err := c.srv.AddRepository("demo/assets", map[string]string{"README": "assets\n"})
	if err != nil {
		t.Fatal(err)
	}
	content := strings.Repeat("a large file\n", 10_000)
	for _, name := range []string{"logo.bin", "sub/other.bin"} {
		if _, err := repo.AddLFS("main", name, content+name); err != nil {
			t.Fatal(err)
		}
	}
	j := c.run(standin.JobSpec{Repository: repo})
	dir := checkout(t, j)
	pointer, err := os.ReadFile(filepath.Join(dir, "logo.bin"))
	if err != nil || !strings.HasPrefix(string(pointer), "version https://git-lfs.github.com/spec/v1\n") {
		t.Errorf("pointer = %q (%v)", pointer, err)
	}
	mustGit(t, dir, "lfs", "install", "--local")
	mustGit(t, dir, "lfs", "pull")
	for _, name := range []string{"logo.bin", "sub/other.bin"} {
		if got, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(got) != content+name {
			t.Errorf("%s has %d bytes (%v), want %d", name, len(got), err, len(content+name))
		}
	}
	c.want(200, c.finish(j, "success", nil))
}

func TestLFSIsStrict(t *testing.T) {
	c := newNetworked(t, standin.Options{})
	repo, err := c.srv.AddRepository("demo/assets", nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := repo.AddLFS("main", "logo.bin", "content"); err != nil {
		t.Fatal(err)
	}
	// The sum of "content".
	const oid = "ed7002b439e9ac845f22357d822bac1444730fbdb6016d3ec9432297b9ec9f73"
	j := c.run(standin.JobSpec{Repository: repo})
	const media = "application/vnd.git-lfs+json"
	batch := func(body, token, accept string) (int, string) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, repo.URL()+"/info/lfs/objects/batch", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Accept", accept)
		req.Header.Set("Content-Type", media)
		if token != "" {
			req.SetBasicAuth("gitlab-ci-token", token)
		}
		resp, err := c.http.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		var answer struct {
			Objects []struct {
				Actions map[string]any
				Error   *struct{ Code int }
			}
		}
		if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil || len(answer.Objects) == 0 {
			return resp.StatusCode, ""
		}
		if e := answer.Objects[0].Error; e != nil {
			return e.Code, ""
		}
		action, _ := answer.Objects[0].Actions["download"].(map[string]any)
		href, _ := action["href"].(string)
		return resp.StatusCode, href
	}
	good := `{"operation":"download","transfers":["basic"],"objects":[{"oid":"` + oid + `","size":7}]}`
	tests := []struct {
		name, body, token, accept string
		want                      int
	}{
		{"good", good, j.Token(), media, 200},
		{"without credentials", good, "", media, 401},
		{"wrong token", good, "glcbt-wrong", media, 401},
		{"other media type", good, j.Token(), "application/json", 406},
		{"no JSON", "{", j.Token(), media, 422},
		{"upload", strings.Replace(good, "download", "upload", 1), j.Token(), media, 403},
		{"other transfer", strings.Replace(good, "basic", "ssh", 1), j.Token(), media, 422},
		{"wrong size", strings.Replace(good, ":7}", ":8}", 1), j.Token(), media, 422},
		{"no such object", strings.Replace(good, "ed70", "ed71", 1), j.Token(), media, 404},
		{"no object", `{"operation":"download"}`, j.Token(), media, 422},
	}
	for _, tt := range tests {
		status, href := batch(tt.body, tt.token, tt.accept)
		if status != tt.want || (tt.want == 200) != (href != "") {
			t.Errorf("%s: %d, href %q; want %d", tt.name, status, href, tt.want)
		}
	}
	c.want(200, c.finish(j, "success", nil))
	if status, _ := batch(good, j.Token(), media); status != 401 {
		t.Errorf("after the job's end: %d, want 401", status)
	}
}

func TestSHA256Repository(t *testing.T) {
	c := newNetworked(t, standin.Options{})
	repo, err := c.srv.AddRepositorySHA256("demo/hello", map[string]string{"a": "a\n"})
	if err != nil {
		t.Fatal(err)
	}
	j := c.run(standin.JobSpec{Repository: repo})
	var p struct {
		Git struct {
			SHA    string `json:"sha"`
			Before string `json:"before_sha"`
			Format string `json:"repo_object_format"`
			URL    string `json:"repo_url"`
		} `json:"git_info"`
	}
	if err := json.Unmarshal(j.Payload(), &p); err != nil {
		t.Fatal(err)
	}
	if p.Git.Format != "sha256" || len(p.Git.SHA) != 64 || p.Git.Before != strings.Repeat("0", 64) {
		t.Errorf("git_info = %+v", p.Git)
	}
	dir := t.TempDir()
	mustGit(t, dir, "clone", "-q", p.Git.URL, ".")
	if got := strings.TrimSpace(mustGit(t, dir, "rev-parse", "HEAD")); got != p.Git.SHA {
		t.Errorf("HEAD is %s, want %s", got, p.Git.SHA)
	}
	c.want(200, c.finish(j, "success", nil))
}
