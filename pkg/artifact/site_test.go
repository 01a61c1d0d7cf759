package artifact_test

import (
	"archive/zip"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/runnerd/runnerd/internal/standin"
	"github.com/runnerd/runnerd/pkg/artifact"
	"github.com/runnerd/runnerd/pkg/confine"
	"github.com/runnerd/runnerd/pkg/gitlab"
	"github.com/runnerd/runnerd/pkg/job"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A site is a GitLab, a client of its artifacts and a project directory.
type site struct {
	t      *testing.T
	gitlab *standin.Server
	runner *gitlab.Client
	client *artifact.Client
	dir    string
	root   *confine.Root

	mu    sync.Mutex
	notes []string
}

func newSite(t *testing.T, o standin.Options) *site {
	t.Helper()
	s := &site{t: t, gitlab: standin.Start(t, o), dir: t.TempDir()}
	runner := s.gitlab.AddRunner(standin.RunnerSpec{})
	var err error
	s.runner, err = gitlab.New(gitlab.Config{URL: s.gitlab.URL(), Token: job.Secret(runner.Token()), SystemID: "r_0123456789ab"})
	must(t, err)
	t.Cleanup(s.runner.Close)
	s.client = s.newClient(s.gitlab.URL() + "/api/v4/")
	s.root, err = confine.Open(s.dir)
	must(t, err)
	t.Cleanup(func() { s.root.Close() })
	return s
}

func (s *site) newClient(api string) *artifact.Client {
	s.t.Helper()
	c, err := artifact.NewClient(artifact.Options{
		API: api, UserAgent: "runnerd test", Note: s.note,
		Pause:   func(int) time.Duration { return time.Millisecond },
		Backoff: func(int) time.Duration { return time.Millisecond },
	})
	must(s.t, err)
	s.t.Cleanup(c.Close)
	return c
}

func (s *site) note(line string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.notes = append(s.notes, line)
}

// run adds a job and has it running.
func (s *site) run(spec standin.JobSpec) *standin.Job {
	s.t.Helper()
	j := s.gitlab.AddJob(spec)
	offer, err := s.runner.RequestJob(s.t.Context(), "")
	must(s.t, err)
	if offer.Job == nil || offer.Job.ID != j.ID() {
		s.t.Fatalf("GitLab offers %+v, want job %d", offer.Job, j.ID())
	}
	_, err = s.runner.UpdateJob(s.t.Context(), job.Credentials{ID: j.ID(), Token: job.Secret(j.Token())}, job.Update{State: job.Running})
	must(s.t, err)
	return j
}

func (s *site) path(name string) string { return filepath.Join(s.dir, name) }

func (s *site) write(name, content string) {
	s.t.Helper()
	must(s.t, os.MkdirAll(filepath.Dir(s.path(name)), 0o755))
	must(s.t, os.WriteFile(s.path(name), []byte(content), 0o644))
}

func (s *site) read(name string) string {
	s.t.Helper()
	text, err := os.ReadFile(s.path(name))
	must(s.t, err)
	return string(text)
}

func (s *site) collect(paths ...string) *artifact.Files {
	s.t.Helper()
	return s.choose(artifact.Selection{Paths: paths})
}

func (s *site) choose(sel artifact.Selection) *artifact.Files {
	s.t.Helper()
	sel.ProjectDir = s.dir
	files, err := artifact.Collect(s.t.Context(), s.root, sel)
	must(s.t, err)
	return files
}

// of is the upload of a job's archive with what paths match.
func (s *site) of(j *standin.Job, paths ...string) artifact.Upload {
	s.t.Helper()
	return artifact.Upload{
		JobID: j.ID(), Token: j.Token(), FileName: "artifacts.zip", Type: "archive", Format: artifact.Zip, Level: "default",
		Entries: s.collect(paths...).Entries,
	}
}

func (s *site) upload(u artifact.Upload) (artifact.Sent, error) {
	return s.client.Upload(s.t.Context(), s.root, u)
}

// list is what an archive holds: a line for each entry.
func list(t testing.TB, archive []byte) string {
	t.Helper()
	z, err := zip.NewReader(bytes.NewReader(archive), int64(len(archive)))
	must(t, err)
	var out strings.Builder
	for _, f := range z.File {
		r, err := f.Open()
		must(t, err)
		content, err := io.ReadAll(r)
		must(t, err)
		fmt.Fprintf(&out, "%s %s %q\n", f.Mode(), f.Name, content)
	}
	return out.String()
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func says(t testing.TB, err error, part string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), part) {
		t.Errorf("error %v, want one with %q", err, part)
	}
}

// a wait bound for what should come at once
func soon(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}
