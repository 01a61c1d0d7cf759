//go:build e2e

package e2e

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/runnerd/runnerd/internal/standin"
)

// unzipped is what an archive holds: mode and content by name.
func unzipped(t testing.TB, archive []byte) map[string]string {
	t.Helper()
	z, err := zip.NewReader(bytes.NewReader(archive), int64(len(archive)))
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		files[f.Name] = fmt.Sprintf("%s %s", f.Mode(), text)
	}
	return files
}

// uploaded lists a job's artifacts as type=name.
func uploaded(j *standin.Job) string {
	var list []string
	for _, u := range j.Uploads() {
		list = append(list, u.Type+"="+u.Filename)
	}
	return strings.Join(list, " ")
}

func archiveOf(paths ...string) standin.Artifact {
	return standin.Artifact{Paths: paths, Type: "archive", Format: "zip"}
}

// TestArtifacts: a build leaves files, and two jobs behind it get them: from the
// object storage and through GitLab, in order, the later one on top.
func TestArtifacts(t *testing.T) {
	t.Parallel()
	s := start(t, options{})
	out := archiveOf("out/", "$KIND/*.txt", "nothing")
	out.Name, out.Exclude, out.ExpireIn, out.Untracked = "$CI_PROJECT_NAME-$VERSION", []string{"**/*.o"}, "1 week", true
	build := s.add(standin.JobSpec{
		Name: "build", Artifacts: []standin.Artifact{out},
		Variables: []standin.Variable{{Key: "KIND", Value: "docs", Public: true}, {Key: "CI_PROJECT_NAME", Value: "hello", Public: true}},
		Script: []string{
			"mkdir -p out/bin docs; echo built > out/bin/app; chmod 750 out/bin/app; ln -s bin/app out/latest; echo x > out/x.o; echo d > docs/a.txt",
			"echo new > new.txt; echo changed >> README.md", `echo VERSION=1.2 >> "$GITLAB_ENV"`,
		},
	})
	s.finish(build, standin.Success)
	got := build.Uploads()
	if len(got) != 1 || got[0].Filename != "hello-1.2.zip" || got[0].ExpireIn != "1 week" {
		t.Fatalf("uploads %s; the log:\n%s", uploaded(build), build.Text())
	}
	want := map[string]string{
		"docs/a.txt": "-rw-r--r-- d\n", "new.txt": "-rw-r--r-- new\n", "out/": "drwxr-xr-x ", "out/bin/": "drwxr-xr-x ",
		"out/bin/app": "-rwxr-x--- built\n", "out/latest": "Lrwxrwxrwx bin/app",
	}
	if diff := cmp.Diff(want, unzipped(t, got[0].Data)); diff != "" {
		t.Errorf("archive (-want +got):\n%s", diff)
	}
	log := section(t, build.Text(), "upload_artifacts_on_success")
	for _, part := range []string{
		"Uploading artifacts for successful job", "out/: found 5 matching", "docs/*.txt: found 1 matching", "nothing: no matching files", "excluded 1 files",
	} {
		if !strings.Contains(log, part) {
			t.Errorf("the section has no %q:\n%s", part, log)
		}
	}
	patch := s.add(standin.JobSpec{
		Name: "patch", Artifacts: []standin.Artifact{archiveOf("out/bin")}, DependsOn: []*standin.Job{build},
		Script: []string{"test -L out/latest", "cat out/latest", "test -x out/bin/app", "echo patched > out/bin/app", "cat new.txt"},
	})
	s.finish(patch, standin.Success)
	for name, value := range map[string]string{"direct": "true", "proxied": "false"} {
		before := s.gitlab.Requests(standin.Storage)
		j := s.add(standin.JobSpec{
			Name: name, DependsOn: []*standin.Job{build, patch}, Variables: []standin.Variable{{Key: "FF_USE_DIRECT_DOWNLOAD", Value: value}},
			Script: []string{`test "$(cat out/latest)" = patched`, `test "$(cat docs/a.txt)" = d`},
		})
		s.finish(j, standin.Success)
		if n := s.gitlab.Requests(standin.Storage) - before; (n == 2) != (value == "true") {
			t.Errorf("%s: %d requests to the storage", name, n)
		}
		if !strings.Contains(section(t, j.Text(), "download_artifacts"), "Downloading artifacts for patch") {
			t.Errorf("the log:\n%s", j.Text())
		}
	}
}

func TestArtifactsWhen(t *testing.T) {
	t.Parallel()
	s := start(t, options{})
	var list []standin.Artifact
	for _, when := range []string{"on_success", "on_failure", "always"} {
		a := archiveOf("file")
		a.Name, a.When = when, when
		a.Type = map[string]string{"on_success": "archive", "on_failure": "scip", "always": "lsif"}[when]
		list = append(list, a)
	}
	good := s.add(standin.JobSpec{Name: "good", Artifacts: list, Script: []string{"echo x > file"}})
	bad := s.add(standin.JobSpec{Name: "bad", Artifacts: list, Script: []string{"echo x > file", "exit 3"}})
	none := s.add(standin.JobSpec{Name: "none", Artifacts: []standin.Artifact{archiveOf("nothing")}, Script: []string{"true"}})
	s.finish(good, standin.Success)
	s.finish(bad, standin.Failed)
	s.finish(none, standin.Success)
	if got, want := uploaded(good), "archive=on_success.zip lsif=always.zip"; got != want {
		t.Errorf("good: %q, want %q", got, want)
	}
	if got, want := uploaded(bad), "scip=on_failure.zip lsif=always.zip"; got != want || bad.ExitCode() != 3 {
		t.Errorf("bad: %q, want %q; exit code %d", got, want, bad.ExitCode())
	}
	if !strings.Contains(none.Text(), "ERROR: No files to upload") {
		t.Errorf("none:\n%s", none.Text())
	}
}

func TestReports(t *testing.T) {
	t.Parallel()
	s := start(t, options{})
	j := s.add(standin.JobSpec{
		Name: "reports", Script: []string{"mkdir r; echo '<a/>' > r/1.xml; echo '<b/>' > r/2.xml; echo A=1 > build.env; echo '{}' > gl-sast-report.json", "exit 1"},
		Artifacts: []standin.Artifact{
			{Name: "junit.xml", Paths: []string{"r/*.xml"}, Type: "junit", Format: "gzip", When: "always"},
			{Name: ".env", Paths: []string{"build.env"}, Type: "dotenv", Format: "gzip", When: "always"},
			{Name: "gl-sast-report.json", Paths: []string{"gl-sast-report.json"}, Type: "sast", Format: "raw", When: "always"},
		},
	})
	s.finish(j, standin.Failed)
	if got, want := uploaded(j), "junit=junit.xml.gz dotenv=.env.gz sast=gl-sast-report.json"; got != want {
		t.Fatalf("uploads %q, want %q; the log:\n%s", got, want, j.Text())
	}
	for i, want := range []string{"<a/>\n<b/>\n", "A=1\n"} {
		z, err := gzip.NewReader(bytes.NewReader(j.Uploads()[i].Data))
		if err != nil {
			t.Fatal(err)
		}
		if text, err := io.ReadAll(z); err != nil || string(text) != want {
			t.Errorf("report %d is %q, %v", i, text, err)
		}
	}
	if text := string(j.Uploads()[2].Data); text != "{}\n" {
		t.Errorf("the raw report is %q", text)
	}
}

// TestArtifactUploadTrouble: what GitLab may answer, and what becomes of the job.
func TestArtifactUploadTrouble(t *testing.T) {
	t.Parallel()
	s := start(t, options{})
	for _, tt := range []struct {
		name  string
		fault standin.Fault
		hits  int
		state standin.State
		says  string
	}{
		{"too large", standin.Fault{Status: 413, Times: -1}, 1, standin.Failed, "too large archive"},
		{"forbidden", standin.Fault{Status: 403, Times: -1}, 1, standin.Failed, "permission denied"},
		{"unavailable for a while", standin.Fault{Status: 503, Times: 7}, 7, standin.Success, "503 Service Unavailable"},
		{"cut in the middle", standin.Fault{CutAfter: 300 << 10}, 1, standin.Success, "trying again in 1s"},
		{"moved", standin.Fault{Redirect: s.gitlab.URL() + "/some/where?else=1"}, 1, standin.Success, "wants it sent to"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			j := s.add(standin.JobSpec{
				Name: tt.name, Held: true, Artifacts: []standin.Artifact{archiveOf("file")}, Script: []string{"head -c 1000000 /dev/urandom > file"},
			})
			tt.fault.Endpoint, tt.fault.Job = standin.UploadArtifact, j.ID()
			fault := s.gitlab.Inject(tt.fault)
			j.Release()
			s.finish(j, tt.state)
			if fault.Hits() != tt.hits {
				t.Errorf("%d requests were hit, want %d", fault.Hits(), tt.hits)
			}
			if !strings.Contains(j.Text(), tt.says) {
				t.Errorf("no %q in the log:\n%s", tt.says, j.Text())
			}
			if tt.state == standin.Failed && (j.FailureReason() != "script_failure" || j.ExitCode() != 1) {
				t.Errorf("failed with %s, exit code %d", j.FailureReason(), j.ExitCode())
			}
			if sent := len(j.Uploads()) == 1; sent != (tt.state == standin.Success) {
				t.Errorf("uploads %q", uploaded(j))
			}
		})
	}
}

// TestArtifactDownloadTrouble: without its dependencies a script does not run.
func TestArtifactDownloadTrouble(t *testing.T) {
	t.Parallel()
	s := start(t, options{})
	for _, tt := range []struct {
		name    string
		archive []byte
		spoil   func(build *standin.Job)
		says    string
	}{
		// GitLab names no file that has expired, unless that happens later.
		{"expired", zipOf(t, "a"), func(build *standin.Job) { build.ExpireArtifacts() }, "not found: they have expired"},
		{"forbidden", zipOf(t, "a"), func(build *standin.Job) {
			s.gitlab.Inject(standin.Fault{Endpoint: standin.DownloadArtifact, Job: build.ID(), Status: 403})
		}, "permission denied"},
		{"broken archive", []byte("no archive"), nil, "neither zip nor gzip nor zstd"},
		{"escape", zipOf(t, "../../escaped"), nil, "leads out of the project directory"},
		{"through a link", linkZip(t), nil, "extract"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			build := s.add(standin.JobSpec{Name: "build of " + tt.name, Held: true})
			build.AddArchive("artifacts.zip", tt.archive)
			dependency := standin.Dependency{
				ID: build.ID(), Name: build.Name(), Token: "glcbt-64_dependency", File: &standin.ArtifactsFile{Filename: "artifacts.zip", Size: int64(len(tt.archive))},
			}
			j := s.add(standin.JobSpec{Name: tt.name, Held: true, Dependencies: []standin.Dependency{dependency}, Script: []string{"echo it ran"}, AfterScript: []string{"echo it ran"}})
			if tt.spoil != nil {
				tt.spoil(build)
			}
			j.Release()
			s.finish(j, standin.Failed)
			if !strings.Contains(j.Text(), tt.says) || strings.Contains(j.Text(), "it ran") || j.FailureReason() != "script_failure" {
				t.Errorf("failed with %s; the log:\n%s", j.FailureReason(), j.Text())
			}
		})
	}
}

func zipOf(t testing.TB, names ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, name := range names {
		w, err := z.Create(name)
		if err == nil {
			_, err = w.Write([]byte("content"))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// linkZip has a symlink to the helper's plan, and a file behind it.
func linkZip(t testing.TB) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	link := &zip.FileHeader{Name: "d"}
	link.SetMode(fs.ModeSymlink | 0o777)
	w, err := z.CreateHeader(link)
	if err == nil {
		_, err = w.Write([]byte("/runnerd"))
	}
	if err == nil {
		w, err = z.Create("d/file")
	}
	if err == nil {
		_, err = w.Write([]byte("x"))
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestArtifactsFromOutside: a script does what it can to have files of the
// helper sent, and gets only its own.
func TestArtifactsFromOutside(t *testing.T) {
	t.Parallel()
	s := start(t, options{})
	// What is behind the links exists in the helper's container.
	targets := "/etc /runnerd /runnerd/plan /proc/1 /tmp"
	swap := `mkdir -p turn/plan; echo mine > turn/plan/helper.json.gz; ln -s /runnerd link; ` +
		`(while :; do mv -T turn real; mv -T link turn; mv -T turn link; mv -T real turn; done) >/dev/null 2>&1 & sleep 0.2`
	for name, script := range map[string]string{
		"links":                `for d in ` + targets + `; do ln -s $d "link-$(echo $d | tr / -)"; done; ln -s /etc/passwd passwd; ln -s /runnerd/plan/helper.json.gz plan.gz`,
		"a folder swapped":     swap,
		"the project replaced": `cd ..; mv "$CI_PROJECT_DIR" "$CI_PROJECT_DIR.old"; ln -s /runnerd "$CI_PROJECT_DIR"`,
	} {
		t.Run(name, func(t *testing.T) {
			a := archiveOf("**", "link/**", "turn", "turn/plan/*", "link--runnerd/plan/*", "link--etc/passwd", "plan/*", "plan.gz", "/runnerd/plan", "../../../runnerd/plan/*")
			j := s.add(standin.JobSpec{Name: name, Script: []string{"echo mine > mine", script}, Artifacts: []standin.Artifact{a}})
			s.finish(j, standin.Success)
			if len(j.Uploads()) != 1 {
				t.Fatalf("uploads %q; the log:\n%s", uploaded(j), j.Text())
			}
			files := unzipped(t, j.Uploads()[0].Data)
			if files["mine"] != "-rw-r--r-- mine\n" {
				t.Errorf("the job's own file is %q", files["mine"])
			}
			for entry, text := range files {
				if strings.Contains(text, "root:") || strings.Contains(text, "\x1f\x8b") {
					t.Errorf("%s was sent: %.100q", entry, text)
				}
				if strings.Contains(entry, "passwd") && text != "Lrwxrwxrwx /etc/passwd" {
					t.Errorf("%s was sent as more than a symlink: %.100q", entry, text)
				}
			}
		})
	}
}

// TestLargeArtifact: two gigabytes go through a helper that has 64 MiB.
func TestLargeArtifact(t *testing.T) {
	t.Parallel()
	s := start(t, options{kubernetes: "helper_memory_limit = \"64Mi\"\nhelper_memory_request = \"64Mi\""})
	j := s.add(standin.JobSpec{
		Name: "large", Artifacts: []standin.Artifact{archiveOf("large")}, Script: []string{"truncate -s 2G large"},
		Variables: []standin.Variable{{Key: "ARTIFACT_COMPRESSION_LEVEL", Value: "fastest"}},
	})
	s.finish(j, standin.Success)
	if len(j.Uploads()) != 1 {
		t.Fatalf("uploads %q", uploaded(j))
	}
	data := j.Uploads()[0].Data
	z, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	if got := z.File[0].UncompressedSize64; got != 2<<30 {
		t.Errorf("the file has %d bytes", got)
	}
	t.Logf("%s", section(t, j.Text(), "upload_artifacts_on_success"))
}
