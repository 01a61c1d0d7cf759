package standin_test

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"fmt"
	"mime/multipart"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/runnerd/runnerd/internal/standin"
)

func zipped(t *testing.T, names ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, n := range names {
		f, err := w.Create(n)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(f, "contents of %s", n)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func gzipped(t *testing.T, members ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	for _, m := range members {
		w := gzip.NewWriter(&b)
		if _, err := w.Write([]byte(m)); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return b.Bytes()
}

type part struct {
	field, name string
	data        []byte
}

func (c *raw) upload(base string, j *standin.Job, query string, parts ...part) reply {
	c.t.Helper()
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	for _, p := range parts {
		f, err := w.CreateFormFile(p.field, p.name)
		if err != nil {
			c.t.Fatal(err)
		}
		f.Write(p.data)
	}
	w.Close()
	return c.do("POST", fmt.Sprintf("%s/jobs/%d/artifacts?%s", base, j.ID(), query), b.Bytes(),
		header{"JOB-TOKEN", j.Token()}, header{"Content-Type", w.FormDataContentType()})
}

func (c *raw) download(dep, j *standin.Job, query string) reply {
	c.t.Helper()
	return c.do("GET", fmt.Sprintf("/jobs/%d/artifacts?%s", dep.ID(), query), nil, header{"JOB-TOKEN", j.Token()})
}

func TestUploadAndDownload(t *testing.T) {
	c := newNetworked(t, standin.Options{})
	archive := zipped(t, "bin/app", "README")
	build := c.run(standin.JobSpec{Name: "build"})
	c.want(201, c.upload("", build, "artifact_type=archive&artifact_format=zip&expire_in=1+week", part{"file", "artifacts.zip", archive}))
	c.want(201, c.upload("", build, "artifact_type=archive&artifact_format=zip", part{"file", "artifacts.zip", archive}))
	c.want(400, c.upload("", build, "artifact_type=archive&artifact_format=zip", part{"file", "artifacts.zip", zipped(t, "other")}))
	c.want(201, c.upload("", build, "artifact_type=junit&artifact_format=gzip", part{"file", "junit.xml.gz", gzipped(t, "<a/>", "<b/>")}))
	c.want(400, c.upload("", build, "artifact_type=dotenv&artifact_format=gzip", part{"file", ".env.gz", gzipped(t, "no equals sign")}))
	c.want(201, c.upload("", build, "artifact_type=dotenv&artifact_format=gzip", part{"file", ".env.gz", gzipped(t, "A=1\n")}))
	c.want(200, c.finish(build, "success", nil))
	c.want(403, c.upload("", build, "", part{"file", "artifacts.zip", archive}))

	var types []string
	for _, u := range build.Uploads() {
		types = append(types, u.Type+" "+u.Filename+" "+u.ExpireIn)
	}
	if diff := cmp.Diff([]string{"archive artifacts.zip 1 week", "junit junit.xml.gz ", "dotenv .env.gz "}, types); diff != "" {
		t.Errorf("uploads (-want +got):\n%s", diff)
	}

	j := c.run(standin.JobSpec{DependsOn: []*standin.Job{build}})
	if r := c.want(200, c.download(build, j, "")); !bytes.Equal(r.body, archive) {
		t.Errorf("downloaded %d bytes, want %d", len(r.body), len(archive))
	}
	r := c.want(http.StatusFound, c.download(build, j, "direct_download=true"))
	location := r.header.Get("Location")
	if !strings.HasPrefix(location, c.srv.StorageURL()) {
		t.Errorf("Location is %q, want one at %s", location, c.srv.StorageURL())
	}
	if r := c.want(200, c.do("GET", location, nil)); !bytes.Equal(r.body, archive) {
		t.Errorf("storage gave %d bytes, want %d", len(r.body), len(archive))
	}
	build.ExpireArtifacts()
	c.want(404, c.download(build, j, ""))
}

func TestUploadIsSentElsewhere(t *testing.T) {
	c := newNetworked(t, standin.Options{})
	j := c.run(standin.JobSpec{})
	c.srv.Inject(standin.Fault{Endpoint: standin.UploadArtifact, Redirect: c.srv.StorageURL() + "/some/where?x=y"})
	archive := part{"file", "artifacts.zip", zipped(t, "a")}
	r := c.want(307, c.upload("", j, "expire_in=never", archive))
	if got := r.header.Get("Location"); got != c.srv.StorageURL()+"/some/where?x=y" {
		t.Errorf("Location is %q", got)
	}
	c.want(201, c.upload(c.srv.StorageURL()+"/api/v4", j, "expire_in=never", archive))
}

func TestUploadIsCutInTheMiddle(t *testing.T) {
	c := newNetworked(t, standin.Options{ArtifactLimit: 1 << 20})
	j := c.run(standin.JobSpec{})
	big := part{"file", "artifacts.zip", bytes.Repeat([]byte("x"), 2<<20)}
	c.srv.Inject(standin.Fault{Endpoint: standin.UploadArtifact, CutAfter: 1000})
	if r := c.upload("", j, "", big); r.err == nil {
		t.Errorf("answered %d, want a cut connection", r.status)
	}
	c.want(413, c.upload("", j, "", big))
}

func TestArtifactViolations(t *testing.T) {
	upload := func(query string, parts ...part) func(*raw) {
		return func(c *raw) { c.upload("", c.run(standin.JobSpec{}), query, parts...) }
	}
	dependent := func(spec standin.JobSpec, do func(c *raw, first, second, j *standin.Job)) func(*raw) {
		return func(c *raw) {
			first, second := c.srv.AddJob(standin.JobSpec{Held: true}), c.srv.AddJob(standin.JobSpec{Held: true, Name: "lint"})
			first.AddArchive("artifacts.zip", zipped(c.t, "a"))
			spec.DependsOn = []*standin.Job{first, second}
			do(c, first, second, c.run(spec))
		}
	}
	raised := zipped(t, "../escape")
	tests := []struct {
		name string
		want []string
		do   func(*raw)
	}{
		{"two parts", []string{"14.32"}, upload("", part{"file", "a.zip", zipped(t, "a")}, part{"file", "b.zip", zipped(t, "b")})},
		{"part of another name", []string{"14.32"}, upload("", part{"artifact", "a.zip", zipped(t, "a")})},
		{"wrong format for the type", []string{"14.32"}, upload("artifact_type=junit&artifact_format=zip", part{"file", "a.zip", zipped(t, "a")})},
		{"no zip", []string{"14.32"}, upload("", part{"file", "a.zip", []byte("PK nonsense")})},
		{"zip entry leads out", []string{"14.32"}, upload("", part{"file", "a.zip", raised})},
		{"no gzip", []string{"14.32"}, upload("artifact_type=junit&artifact_format=gzip", part{"file", "a.gz", []byte("plain")})},
		{"wrong extension", []string{"14.32"}, upload("", part{"file", "archive", zipped(t, "a")})},
		{"empty parameter", []string{"14.32"}, upload("expire_in=", part{"file", "a.zip", zipped(t, "a")})},
		{"dependency without a file", []string{"14.34"}, dependent(standin.JobSpec{}, func(c *raw, _, second, j *standin.Job) {
			c.want(404, c.download(second, j, ""))
		})},
		{"not a dependency", []string{"14.34"}, dependent(standin.JobSpec{}, func(c *raw, _, _, j *standin.Job) {
			c.want(403, c.download(j, j, ""))
		})},
		{"order", []string{"14.34"}, dependent(standin.JobSpec{}, func(c *raw, first, second, _ *standin.Job) {
			second.AddArchive("artifacts.zip", zipped(c.t, "b"))
			j := c.run(standin.JobSpec{DependsOn: []*standin.Job{first, second}})
			c.want(200, c.download(second, j, ""))
			c.want(200, c.download(first, j, ""))
			c.want(200, c.download(second, j, ""))
		})},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := newRaw(t, standin.Options{})
			c.t = t
			tt.do(c)
			if diff := cmp.Diff(tt.want, points(c.srv)); diff != "" {
				t.Errorf("violations (-want +got):\n%s", diff)
			}
		})
	}
}

func TestStorageMustNotSeeTokens(t *testing.T) {
	c := newNetworked(t, standin.Options{})
	dep := c.srv.AddJob(standin.JobSpec{Held: true})
	dep.AddArchive("artifacts.zip", zipped(t, "a"))
	j := c.run(standin.JobSpec{DependsOn: []*standin.Job{dep}})
	location := c.want(302, c.download(dep, j, "direct_download=true")).header.Get("Location")
	c.want(200, c.do("GET", location, nil, header{"JOB-TOKEN", j.Token()}))
	if diff := cmp.Diff([]string{"14.34"}, points(c.srv)); diff != "" {
		t.Errorf("violations (-want +got):\n%s", diff)
	}
}
