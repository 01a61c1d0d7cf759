package artifact_test

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/runnerd/runnerd/internal/standin"
	"github.com/runnerd/runnerd/pkg/artifact"
)

func TestZip(t *testing.T) {
	s := newSite(t, standin.Options{})
	s.write("out/bin/app", "#!/bin/sh\n")
	must(t, os.Chmod(s.path("out/bin/app"), 0o755))
	s.write("out/notes.txt", "notes\n")
	must(t, os.Symlink("bin/app", s.path("out/latest")))
	must(t, os.Mkdir(s.path("out/empty"), 0o700))
	j := s.run(standin.JobSpec{})
	u := s.of(j, "out")
	u.ExpireIn = "1 week"
	sent, err := s.upload(u)
	must(t, err)
	got := j.Uploads()
	if len(got) != 1 || got[0].Filename != "artifacts.zip" || got[0].ExpireIn != "1 week" || got[0].Type != "archive" {
		t.Fatalf("uploads %+v", got)
	}
	want := `drwxr-xr-x out/ ""
drwxr-xr-x out/bin/ ""
-rwxr-xr-x out/bin/app "#!/bin/sh\n"
drwx------ out/empty/ ""
Lrwxrwxrwx out/latest "bin/app"
-rw-r--r-- out/notes.txt "notes\n"
`
	if diff := cmp.Diff(want, list(t, got[0].Data)); diff != "" {
		t.Errorf("archive (-want +got):\n%s", diff)
	}
	if sent.Bytes != int64(len(got[0].Data)) || sent.Files != 2 || len(sent.Notes) != 0 {
		t.Errorf("sent %+v of %d bytes", sent, len(got[0].Data))
	}
}

func TestReports(t *testing.T) {
	s := newSite(t, standin.Options{})
	s.write("reports/b.xml", "<b/>")
	s.write("reports/a ü €.xml", "<a/>")
	j := s.run(standin.JobSpec{})
	report := s.of(j, "reports/")
	report.Type, report.Format, report.FileName = "junit", artifact.Gzip, "junit.xml.gz"
	must(t, artifact.Check(report.Format, report.Entries))
	_, err := s.upload(report)
	must(t, err)
	one := s.of(j, "reports/b.xml")
	one.Type, one.Format, one.FileName = "sast", artifact.Raw, "gl-sast-report.json"
	must(t, artifact.Check(one.Format, one.Entries))
	_, err = s.upload(one)
	must(t, err)

	uploads := j.Uploads()
	z, err := gzip.NewReader(bytes.NewReader(uploads[0].Data))
	must(t, err)
	if z.Name != "a ü _.xml" || z.Comment != "reports/a ü _.xml" {
		t.Errorf("the first member is %q, %q", z.Name, z.Comment)
	}
	text, err := io.ReadAll(z)
	if err != nil || string(text) != "<a/><b/>" {
		t.Errorf("members hold %q, %v", text, err)
	}
	if string(uploads[1].Data) != "<b/>" || uploads[1].Filename != "gl-sast-report.json" {
		t.Errorf("raw artifact %s is %q", uploads[1].Filename, uploads[1].Data)
	}
}

func TestRawIsOneFile(t *testing.T) {
	s := newSite(t, standin.Options{})
	s.write("r/a", "")
	s.write("r/b", "")
	must(t, os.Mkdir(s.path("empty"), 0o755))
	says(t, artifact.Check(artifact.Raw, s.collect("r/*").Entries), "2 files match (r/a, r/b")
	says(t, artifact.Check(artifact.Gzip, s.collect("empty").Entries), "only folders")
	if err := artifact.Check(artifact.Zip, s.collect("empty").Entries); err != nil {
		t.Error(err)
	}
}

func TestFileName(t *testing.T) {
	for _, tt := range []struct{ name, format, want string }{
		{"artifacts", "zip", "artifacts.zip"},
		{"", "zip", "default.zip"},
		{"a/b c", "zip", "b c.zip"},
		{"junit.xml", "gzip", "junit.xml.gz"},
		{"x.json", "raw", "x.json"},
		{"..", "zip", "default.zip"},
		{"/", "", "default.zip"},
		{" ", "raw", "default"},
		{"v1/", "zip", "v1.zip"},
	} {
		if got := artifact.FileName(tt.name, tt.format); got != tt.want {
			t.Errorf("FileName(%q, %q) = %q, want %q", tt.name, tt.format, got, tt.want)
		}
	}
}

// What each answer means, and how many requests it takes to believe it: tries,
// times the attempts of each where the server could not answer.
func TestAnswers(t *testing.T) {
	for _, tt := range []struct {
		status, requests int
		says             string
	}{
		{400, 3, "400 Bad Request"},
		{401, 3, "not authorized"},
		{403, 1, "permission denied"},
		{405, 3, "disabled on the server"},
		{409, 3, "409 Conflict"},
		{413, 1, "too large archive"},
		{429, 3 * 5, "429"},
		{500, 3 * 5, "500"},
		{502, 3 * 5, "502"},
		{503, 6 * 5, "503"},
	} {
		t.Run(http.StatusText(tt.status), func(t *testing.T) {
			s := newSite(t, standin.Options{})
			s.write("a", "text")
			j := s.run(standin.JobSpec{})
			fault := s.gitlab.Inject(standin.Fault{Endpoint: standin.UploadArtifact, Status: tt.status, Times: -1})
			_, err := s.upload(s.of(j, "a"))
			says(t, err, tt.says)
			if fault.Hits() != tt.requests {
				t.Errorf("%d requests, want %d", fault.Hits(), tt.requests)
			}
			if len(j.Uploads()) != 0 {
				t.Error("there is an artifact")
			}
		})
	}
}

// The body is made anew for each request.
func TestTroubleThatPasses(t *testing.T) {
	for name, fault := range map[string]standin.Fault{
		"unavailable, all attempts of five tries": {Status: 503, Times: 25},
		"bad request":  {Status: 400, Times: 2},
		"reset":        {Reset: true, Times: 2},
		"cut":          {CutAfter: 100 << 10, Times: 2},
		"lost answer":  {LoseAnswer: true},
		"asks to wait": {Status: 429, RetryAfter: time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, standin.Options{})
			s.write("big", strings.Repeat("line\n", 200_000))
			j := s.run(standin.JobSpec{})
			fault.Endpoint = standin.UploadArtifact
			injected := s.gitlab.Inject(fault)
			u := s.of(j, "big")
			u.Type, u.Format, u.FileName = "sast", artifact.Raw, "big"
			began := time.Now()
			_, err := s.upload(u)
			must(t, err)
			if got := j.Uploads(); len(got) != 1 || len(got[0].Data) != 1_000_000 {
				t.Errorf("%d artifacts", len(got))
			}
			if injected.Hits() != max(fault.Times, 1) {
				t.Errorf("%d hits of %+v", injected.Hits(), fault)
			}
			if fault.RetryAfter > 0 && time.Since(began) < fault.RetryAfter {
				t.Errorf("it took %v, and GitLab asked for %v", time.Since(began), fault.RetryAfter)
			}
		})
	}
}

// An answer that moves the upload counts as a try; path and query are made anew.
func TestUploadMoves(t *testing.T) {
	first, second := newSite(t, standin.Options{}), newSite(t, standin.Options{})
	first.write("a", "text")
	j := second.run(standin.JobSpec{})
	moved := first.gitlab.Inject(standin.Fault{Endpoint: standin.UploadArtifact, Redirect: second.gitlab.URL() + "/some/where?else=1", Times: -1})
	u := first.of(j, "a")
	u.ExpireIn = "never"
	_, err := first.upload(u)
	must(t, err)
	if got := j.Uploads(); len(got) != 1 || got[0].ExpireIn != "never" || moved.Hits() != 1 {
		t.Errorf("%d artifacts, %d redirects", len(got), moved.Hits())
	}
	back := second.gitlab.Inject(standin.Fault{Endpoint: standin.UploadArtifact, Redirect: first.gitlab.URL(), Times: -1})
	_, err = first.upload(u)
	says(t, err, "from host to host")
	if moved.Hits()+back.Hits() != 1+3 {
		t.Errorf("%d redirects, want 3", moved.Hits()+back.Hits()-1)
	}
}

func TestUploadStopsWithItsContext(t *testing.T) {
	s := newSite(t, standin.Options{})
	s.write("a", "text")
	j := s.run(standin.JobSpec{})
	s.gitlab.Inject(standin.Fault{Endpoint: standin.UploadArtifact, Status: 503, RetryAfter: time.Hour, Times: -1})
	ctx, cancel := newCause(t)
	time.AfterFunc(50*time.Millisecond, func() { cancel(errEnough) })
	_, err := s.client.Upload(ctx, s.root, s.of(j, "a"))
	if !errors.Is(err, errEnough) {
		t.Errorf("error %v, want the cause", err)
	}
}
