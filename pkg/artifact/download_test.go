package artifact_test

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"errors"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/runnerd/runnerd/internal/standin"
	"github.com/runnerd/runnerd/pkg/artifact"
)

// An item is one entry of an archive in the making.
type item struct {
	name string
	mode fs.FileMode
	text string
}

func zipped(t testing.TB, items ...item) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, i := range items {
		h := &zip.FileHeader{Name: i.name, Method: zip.Deflate, Modified: time.Date(2020, 1, 2, 3, 4, 6, 0, time.UTC)}
		h.SetMode(i.mode)
		f, err := w.CreateHeader(h)
		must(t, err)
		if !strings.HasSuffix(i.name, "/") {
			_, err = f.Write([]byte(i.text))
			must(t, err)
		}
	}
	must(t, w.Close())
	return b.Bytes()
}

func tarred(t testing.TB, headers ...tar.Header) []byte {
	t.Helper()
	var b bytes.Buffer
	z, err := zstd.NewWriter(&b)
	must(t, err)
	w := tar.NewWriter(z)
	for _, h := range headers {
		text := h.Name
		if h.Typeflag == tar.TypeReg {
			h.Size = int64(len(text))
		}
		must(t, w.WriteHeader(&h))
		if h.Typeflag == tar.TypeReg {
			_, err := w.Write([]byte(text))
			must(t, err)
		}
	}
	must(t, w.Close())
	must(t, z.Close())
	return b.Bytes()
}

func (s *site) spool() *os.File {
	s.t.Helper()
	f, err := os.CreateTemp(s.t.TempDir(), "")
	must(s.t, err)
	s.t.Cleanup(func() { f.Close() })
	return f
}

// built is a job that has left an archive, and running one that depends on it.
func (s *site) built(archive []byte) (build, j *standin.Job) {
	s.t.Helper()
	build = s.gitlab.AddJob(standin.JobSpec{Name: "build", Held: true})
	build.AddArchive("artifacts.zip", archive)
	return build, s.run(standin.JobSpec{Name: "test", DependsOn: []*standin.Job{build}})
}

func (s *site) download(build, j *standin.Job, direct bool) ([]byte, error) {
	s.t.Helper()
	f := s.spool()
	n, err := s.client.Download(s.t.Context(), artifact.Download{JobID: build.ID(), Token: j.Token(), Direct: direct}, f)
	if err != nil {
		return nil, err
	}
	text, err := os.ReadFile(f.Name())
	must(s.t, err)
	if int64(len(text)) != n {
		s.t.Errorf("%d bytes are said to be %d", len(text), n)
	}
	return text, nil
}

func TestDownload(t *testing.T) {
	for name, direct := range map[string]bool{"from the storage": true, "through GitLab": false} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, standin.Options{})
			archive := zipped(t, item{"a", 0o644, "text"})
			build, j := s.built(archive)
			got, err := s.download(build, j, direct)
			must(t, err)
			if !bytes.Equal(got, archive) {
				t.Errorf("%d bytes, want %d", len(got), len(archive))
			}
			if n := s.gitlab.Requests(standin.Storage); (n == 1) != direct {
				t.Errorf("%d requests to the storage", n)
			}
		})
	}
}

func TestDownloadTrouble(t *testing.T) {
	for _, tt := range []struct {
		name     string
		fault    standin.Fault
		requests int    // to GitLab
		says     string // "" means success
	}{
		{"permission denied", standin.Fault{Status: 403, Times: -1}, 1, "permission denied"},
		{"unauthorized", standin.Fault{Status: 401, Times: -1}, 1, "permission denied"},
		{"not found", standin.Fault{Status: 404, Times: -1}, 1, "not found"},
		{"broken for good", standin.Fault{Status: 500, Times: -1}, 15, "500"},
		{"teapot", standin.Fault{Status: 418, Times: -1}, 3, "418"},
		{"broken for a while", standin.Fault{Status: 502, Times: 12}, 13, ""},
		{"reset", standin.Fault{Reset: true, Times: 2}, 3, ""},
		{"cut", standin.Fault{Truncate: true, Times: 2, Skip: 1}, 3, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newSite(t, standin.Options{})
			archive := zipped(t, item{"a", 0o644, "text"})
			build, j := s.built(archive)
			tt.fault.Endpoint = standin.DownloadArtifact
			if tt.fault.Truncate { // the first answer only redirects, to a storage that is broken
				s.gitlab.Inject(standin.Fault{Endpoint: standin.Storage, Truncate: true, Times: -1})
				tt.fault.Times = 1
			}
			s.gitlab.Inject(tt.fault)
			got, err := s.download(build, j, true)
			switch {
			case tt.says != "":
				says(t, err, tt.says)
			case err != nil:
				t.Error(err)
			case !bytes.Equal(got, archive):
				t.Errorf("%d bytes, want %d", len(got), len(archive))
			}
			if n := s.gitlab.Requests(standin.DownloadArtifact); n != tt.requests {
				t.Errorf("%d requests, want %d", n, tt.requests)
			}
		})
	}
}

// Where the storage refuses, the next try goes through GitLab.
func TestStorageRefuses(t *testing.T) {
	for _, status := range []int{403, 404, 500} {
		t.Run(http.StatusText(status), func(t *testing.T) {
			s := newSite(t, standin.Options{})
			build, j := s.built(zipped(t, item{"a", 0o644, "text"}))
			s.gitlab.Inject(standin.Fault{Endpoint: standin.Storage, Status: status, Times: -1})
			_, err := s.download(build, j, true)
			must(t, err)
			if len(s.notes) != 1 || !strings.Contains(s.notes[0], "the object storage refuses") || strings.Contains(s.notes[0], "Signature") {
				t.Errorf("notes %q", s.notes)
			}
		})
	}
}

func TestExpired(t *testing.T) {
	s := newSite(t, standin.Options{})
	build, j := s.built(zipped(t, item{"a", 0o644, "text"}))
	build.ExpireArtifacts()
	_, err := s.download(build, j, true)
	says(t, err, "not found: they have expired")
}

func (s *site) extract(archive []byte) (artifact.Extracted, error) {
	s.t.Helper()
	f := s.spool()
	_, err := f.Write(archive)
	must(s.t, err)
	return artifact.Extract(s.t.Context(), s.root, f, int64(len(archive)))
}

func newProject(t *testing.T) *site {
	s := &site{t: t, dir: filepath.Join(t.TempDir(), "project")}
	must(t, os.Mkdir(s.dir, 0o755))
	s.open()
	return s
}

func (s *site) mode(name string) fs.FileMode {
	s.t.Helper()
	info, err := os.Lstat(s.path(name))
	must(s.t, err)
	return info.Mode()
}

func TestExtractZip(t *testing.T) {
	s := newProject(t)
	s.write("a/old", "old")
	s.write("kept", "kept")
	must(t, os.Symlink("kept", s.path("replaced")))
	made, err := s.extract(zipped(t,
		item{"a/", fs.ModeDir | 0o500, ""}, item{"a/old", 0o755, "new"}, item{"b/c", 0o640, "c"},
		item{"replaced", 0o644, "a file"}, item{"link", fs.ModeSymlink | 0o777, "b/c"}, item{"out", fs.ModeSymlink | 0o777, "/etc/passwd"},
	))
	must(t, err)
	if s.read("a/old") != "new" || s.read("link") != "c" || s.read("kept") != "kept" || s.read("replaced") != "a file" {
		t.Error("the files are not those of the archive")
	}
	if s.mode("a/old").Perm() != 0o755 || s.mode("b/c").Perm() != 0o640 || s.mode("a").Perm() != 0o700 || s.mode("out")&fs.ModeSymlink == 0 {
		t.Errorf("modes %s %s %s %s", s.mode("a/old"), s.mode("b/c"), s.mode("a"), s.mode("out"))
	}
	if made.Entries != 6 || made.Bytes != int64(len("new"+"c"+"a file")) {
		t.Errorf("extracted %+v", made)
	}
	info, err := os.Stat(s.path("b/c"))
	must(t, err)
	if !info.ModTime().Equal(time.Date(2020, 1, 2, 3, 4, 6, 0, time.UTC)) {
		t.Errorf("b/c is of %v", info.ModTime())
	}
}

func TestExtractOtherTypes(t *testing.T) {
	s := newProject(t)
	_, err := s.extract(tarred(t,
		tar.Header{Name: "./", Typeflag: tar.TypeDir, Mode: 0o700}, tar.Header{Name: "./d/f", Typeflag: tar.TypeReg, Mode: 0o755},
		tar.Header{Name: "./d/l", Typeflag: tar.TypeSymlink, Linkname: "f"}, tar.Header{Name: "h", Typeflag: tar.TypeLink, Linkname: "./d/f"},
		tar.Header{Name: "pipe", Typeflag: tar.TypeFifo},
	))
	must(t, err)
	if s.read("d/l") != "./d/f" || s.read("h") != "./d/f" || s.mode("d/f").Perm() != 0o755 || s.mode(".").Perm() != 0o755 {
		t.Error("the files are not those of the tar archive")
	}
	var b bytes.Buffer
	for name, comment := range map[string]string{"x": "deep/x", "y": "made by hand"} {
		z := gzip.NewWriter(&b)
		z.Name, z.Comment = name, comment
		_, err := z.Write([]byte(name))
		must(t, err)
		must(t, z.Close())
	}
	_, err = s.extract(b.Bytes())
	must(t, err)
	if s.read("deep/x") != "x" || s.read("y") != "y" {
		t.Error("the files are not those of the gzip members")
	}
}

// What leads out of the project is refused, and nothing is there afterwards.
func TestExtractRefuses(t *testing.T) {
	link := fs.ModeSymlink | 0o777
	for name, archive := range map[string][]byte{
		"up":            zipped(t, item{"first", 0o644, ""}, item{"../escaped", 0o644, "x"}),
		"up behind":     zipped(t, item{"a/../../escaped", 0o644, "x"}),
		"absolute":      zipped(t, item{"/tmp/escaped", 0o644, "x"}),
		"link up":       zipped(t, item{"a/../../escaped", link, "/etc"}),
		"folder up":     zipped(t, item{"../escaped/", fs.ModeDir | 0o755, ""}),
		"tar up":        tarred(t, tar.Header{Name: "../escaped", Typeflag: tar.TypeReg}),
		"tar link":      tarred(t, tar.Header{Name: "l", Typeflag: tar.TypeLink, Linkname: "../secret"}),
		"the directory": zipped(t, item{"./.", 0o644, "x"}),
	} {
		t.Run(name, func(t *testing.T) {
			s := newProject(t)
			_, err := s.extract(archive)
			if !errors.Is(err, artifact.ErrUnsafe) {
				t.Errorf("error %v, want %v", err, artifact.ErrUnsafe)
			}
			left, err := os.ReadDir(filepath.Dir(s.dir))
			if err != nil || len(left) != 1 {
				t.Errorf("beside the project: %v, %v", left, err)
			}
			if left, err := os.ReadDir(s.dir); err != nil || len(left) != 0 {
				t.Errorf("in the project: %v, %v", left, err)
			}
		})
	}
}

// A symlink, of the archive or already there, is never written through.
func TestExtractFollowsNoSymlink(t *testing.T) {
	outside := t.TempDir()
	link := fs.ModeSymlink | 0o777
	for name, tt := range map[string]struct {
		archive []byte
		says    string
	}{
		"of the archive": {zipped(t, item{"d", link, outside}, item{"d/f", 0o644, "x"}), "directory"},
		"there already":  {zipped(t, item{"there/f", 0o644, "x"}), "a symlink is not followed"},
		"as a folder":    {zipped(t, item{"there/", fs.ModeDir | 0o755, ""}), "a symlink is not followed"},
		"with tar":       {tarred(t, tar.Header{Name: "d", Typeflag: tar.TypeSymlink, Linkname: outside}, tar.Header{Name: "d/f", Typeflag: tar.TypeReg}), "directory"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newProject(t)
			must(t, os.Symlink(outside, s.path("there")))
			_, err := s.extract(tt.archive)
			says(t, err, tt.says)
			if left, err := os.ReadDir(outside); err != nil || len(left) != 0 {
				t.Errorf("outside there is %v, %v", left, err)
			}
		})
	}
}

func TestBrokenArchives(t *testing.T) {
	whole := zipped(t, item{"a", 0o644, strings.Repeat("text", 1000)})
	for name, archive := range map[string][]byte{
		"empty": nil, "html": []byte("<html>502</html>"), "half a zip": whole[:len(whole)/2],
		"half a tar": tarred(t, tar.Header{Name: strings.Repeat("a", 90), Typeflag: tar.TypeReg})[:40], "gzip": {0x1f, 0x8b, 8, 0},
		"bad sum": bytes.Replace(whole, []byte{0x03, 0x04}, []byte{0x03, 0x05}, 1),
	} {
		if _, err := newProject(t).extract(archive); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
