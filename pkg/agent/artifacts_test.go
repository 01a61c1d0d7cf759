package agent_test

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/runnerd/runnerd/internal/standin"
	"github.com/runnerd/runnerd/pkg/job"
)

// A coordinator is a GitLab that artifacts go to.
type coordinator struct {
	*standin.Server
	t      *testing.T
	runner *standin.Runner
}

func newCoordinator(t *testing.T) *coordinator {
	t.Helper()
	c := &coordinator{Server: standin.Start(t, standin.Options{}), t: t}
	c.runner = c.AddRunner(standin.RunnerSpec{})
	return c
}

// A handedOut is what GitLab tells of a job, as far as its pod has to know.
type handedOut struct {
	Dependencies []standin.Dependency `json:"dependencies"`
}

// take has the one job that waits handed out, as the daemon does.
func (c *coordinator) take() handedOut {
	c.t.Helper()
	features := `{"upload_multiple_artifacts":true,"artifacts_exclude":true}`
	body := fmt.Sprintf(`{"token":%q,"system_id":"r_0123456789ab","info":{"features":%s}}`, c.runner.Token(), features)
	req, err := http.NewRequestWithContext(c.t.Context(), http.MethodPost, c.URL()+"/api/v4/jobs/request", strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	for key, value := range map[string]string{
		"Content-Type": "application/json", "Accept": "application/json", "User-Agent": "test", "RUNNER-TOKEN": c.runner.Token(),
	} {
		req.Header.Set(key, value)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		c.t.Fatal(err)
	}
	defer resp.Body.Close()
	var out handedOut
	if err := json.NewDecoder(resp.Body).Decode(&out); err != nil || resp.StatusCode != http.StatusCreated {
		c.t.Fatalf("request for a job: %s, %v", resp.Status, err)
	}
	return out
}

// pod returns a pod whose job is running at GitLab.
func (c *coordinator) pod(spec standin.JobSpec, script ...string) (*pod, *standin.Job) {
	c.t.Helper()
	j := c.AddJob(spec)
	payload := c.take()
	p := newPod(c.t, script...)
	p.helper.JobID = j.ID()
	p.helper.GitLab = job.GitLabPlan{API: c.URL() + "/api/v4/", Token: j.Token(), Attempts: 1, Direct: true}
	p.helper.Sources.UserAgent = "runnerd test"
	for _, d := range payload.Dependencies {
		if d.File != nil {
			p.helper.Dependencies = append(p.helper.Dependencies, job.DependencyPlan{JobID: d.ID, Name: d.Name, Token: d.Token})
		}
	}
	return p, j
}

func archivePlan(paths ...string) job.ArtifactPlan {
	return job.ArtifactPlan{Name: "artifacts", Paths: paths, When: job.WhenSuccess, Type: "archive", Format: job.FormatZip, Level: "default"}
}

// unzipped is what a zip archive holds, by name; a symlink's target behind an arrow.
func unzipped(t *testing.T, archive []byte) map[string]string {
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
		if f.Mode()&os.ModeSymlink != 0 {
			text = append([]byte("-> "), text...)
		}
		files[f.Name] = string(text)
	}
	return files
}

func uploads(j *standin.Job) string {
	var list []string
	for _, u := range j.Uploads() {
		list = append(list, u.Type+"="+u.Filename)
	}
	return strings.Join(list, " ")
}

func TestArtifactsFromJobToJob(t *testing.T) {
	for _, user := range []*syscall.Credential{nil, {Uid: 1234, Gid: 1234}} {
		if user != nil && os.Getuid() != 0 {
			continue // another user's files need root; the first case has shown the rest
		}
		t.Run(fmt.Sprintf("other user %t", user != nil), func(t *testing.T) { handOver(t, user) })
	}
}

func handOver(t *testing.T, user *syscall.Credential) {
	c := newCoordinator(t)
	first, build := c.pod(standin.JobSpec{Name: "build"},
		"mkdir -p out/bin; echo run > out/bin/app; chmod 755 out/bin/app; ln -s bin/app out/latest; echo x > out/x.o",
		`echo WHERE=out >> "$GITLAB_ENV"; echo VERSION=1.2 >> "$GITLAB_ENV"`)
	first.buildUser = user
	plan := archivePlan("$WHERE/", "nothing/*", "/etc/passwd")
	plan.Name, plan.Exclude, plan.ExpireIn = "app-${VERSION}", []string{"**/*.o"}, "1 week"
	first.helper.Artifacts = []job.ArtifactPlan{plan}
	wantOutcome(t, first.run(), exited(0))
	first.wants("Uploading artifacts for successful job", `Uploading artifacts as "archive"...`,
		"out/: found 5 matching artifact files and directories",
		"WARNING: nothing/*: no matching files. Ensure that the artifact path is relative to the working directory ("+first.helper.ProjectDir+")",
		"**/*.o: excluded 1 files and directories",
		"WARNING: /etc/passwd: it is outside the project directory "+first.helper.ProjectDir+", which is not supported",
		"Job succeeded")
	if got, want := first.phases(), "prepare_script get_sources step_script upload_artifacts_on_success cleanup_file_variables"; got != want {
		t.Errorf("phases %q, want %q", got, want)
	}
	up := build.Uploads()
	if len(up) != 1 || up[0].Filename != "app-1.2.zip" || up[0].ExpireIn != "1 week" {
		t.Fatalf("uploads %s", uploads(build))
	}
	want := map[string]string{"out/": "", "out/bin/": "", "out/bin/app": "run\n", "out/latest": "-> bin/app"}
	if diff := cmp.Diff(want, unzipped(t, up[0].Data)); diff != "" {
		t.Errorf("archive (-want +got):\n%s", diff)
	}

	second, _ := c.pod(standin.JobSpec{Name: "test", DependsOn: []*standin.Job{build}},
		"cat out/latest", "test -x out/bin/app", "test -L out/latest", `test "$(stat -c %u out/bin/app)" = "$(id -u)"`, "echo more >> out/bin/app", "rm -r out")
	second.buildUser = user
	wantOutcome(t, second.run(), exited(0))
	second.wants("Downloading artifacts", fmt.Sprintf("Downloading artifacts for build (%d)...", build.ID()), "run", "Job succeeded")
	if got, want := second.phases(), "prepare_script get_sources download_artifacts step_script cleanup_file_variables"; got != want {
		t.Errorf("phases %q, want %q", got, want)
	}
}

// Which artifacts are sent, and what becomes of the job.
func TestWhenArtifactsAreSent(t *testing.T) {
	for _, tt := range []struct {
		name, script string
		after        string // after_script, which must succeed
		want         string // uploads
		phase        string
		code         int
	}{
		{"success", "true", "", "archive=on_success.zip lsif=always.zip", "upload_artifacts_on_success", 0},
		{"failure", "exit 3", "", "scip=on_failure.zip lsif=always.zip", "upload_artifacts_on_failure", 3},
		{"after_script fails", "true", "exit 4", "scip=on_failure.zip lsif=always.zip", "upload_artifacts_on_failure", 4},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := newCoordinator(t)
			p, j := c.pod(standin.JobSpec{}, "echo x > file", tt.script)
			if tt.after != "" {
				p.addAfterScript(tt.after)
				p.helper.AfterScriptMustSucceed = true
			}
			for when, kind := range map[string]string{job.WhenSuccess: "archive", job.WhenFailure: "scip", job.WhenAlways: "lsif"} {
				a := archivePlan("file")
				a.Name, a.When, a.Type = when, when, kind
				p.helper.Artifacts = append(p.helper.Artifacts, a)
			}
			// always comes last, whatever the map's order
			for i, a := range p.helper.Artifacts {
				if a.When == job.WhenAlways {
					p.helper.Artifacts = append(append(p.helper.Artifacts[:i:i], p.helper.Artifacts[i+1:]...), a)
				}
			}
			wantOutcome(t, p.run(), exited(tt.code))
			if got := uploads(j); got != tt.want {
				t.Errorf("uploads %q, want %q", got, tt.want)
			}
			if !strings.Contains(p.phases(), tt.phase) {
				t.Errorf("phases %q, want %s", p.phases(), tt.phase)
			}
		})
	}
}

// Nothing to send is an error line, and no failure; the section is there.
func TestNoFilesToUpload(t *testing.T) {
	c := newCoordinator(t)
	p, _ := c.pod(standin.JobSpec{}, "true")
	p.helper.Artifacts = []job.ArtifactPlan{archivePlan("nothing")}
	wantOutcome(t, p.run(), exited(0))
	p.wants("ERROR: No files to upload", "Job succeeded")
	if n := c.Requests(standin.UploadArtifact); n != 0 {
		t.Errorf("%d uploads", n)
	}
}

func failedWith(message string) job.Outcome {
	return job.Outcome{State: job.Failed, Reason: job.ScriptFailure, ExitCode: 1, Message: message}
}

// An upload that fails, fails a job that has succeeded; those behind it are not
// tried. A job that has failed keeps its own failure.
func TestUploadFails(t *testing.T) {
	const refused = "uploading artifacts failed: too large archive: GitLab's limit for artifacts is lower (413 Request Entity Too Large): 413 Request Entity Too Large"
	for script, want := range map[string]job.Outcome{"true": failedWith(refused), "exit 7": exited(7)} {
		t.Run(script, func(t *testing.T) {
			c := newCoordinator(t)
			c.Inject(standin.Fault{Endpoint: standin.UploadArtifact, Status: 413})
			p, j := c.pod(standin.JobSpec{}, "echo x > file", script)
			for _, kind := range []string{"archive", "lsif"} {
				a := archivePlan("file")
				a.When, a.Type = job.WhenAlways, kind
				p.helper.Artifacts = append(p.helper.Artifacts, a)
			}
			got := p.run()
			if strings.HasPrefix(got.Message, "uploading artifacts failed: too large archive") {
				got.Message = refused
			}
			wantOutcome(t, got, want)
			if len(j.Uploads()) != 0 {
				t.Errorf("uploads %s, want none", uploads(j))
			}
		})
	}
}

func TestReportsAreSent(t *testing.T) {
	c := newCoordinator(t)
	p, j := c.pod(standin.JobSpec{}, "mkdir r; echo '<a/>' > r/1.xml; echo '<b/>' > r/2.xml; echo '{}' > sast.json", "echo A=1 > build.env", "exit 1")
	for _, a := range []job.ArtifactPlan{
		{Name: "junit.xml", Paths: []string{"r/*.xml"}, Type: "junit", Format: job.FormatGzip},
		{Name: ".env", Paths: []string{"build.env"}, Type: "dotenv", Format: job.FormatGzip},
		{Name: "gl-sast-report.json", Paths: []string{"sast.json"}, Type: "sast", Format: job.FormatRaw},
		{Name: "requirements.json", Paths: []string{"r/*"}, Type: "requirements", Format: job.FormatRaw},
	} {
		a.When = job.WhenAlways
		p.helper.Artifacts = append(p.helper.Artifacts, a)
	}
	wantOutcome(t, p.run(), exited(1))
	p.wants("ERROR: Uploading artifacts failed: 2 files match (r/1.xml, r/2.xml, …), and an artifact of this type (raw) is one file: name it alone")
	if got, want := uploads(j), "junit=junit.xml.gz dotenv=.env.gz sast=gl-sast-report.json"; got != want {
		t.Fatalf("uploads %q, want %q", got, want)
	}
	z, err := gzip.NewReader(bytes.NewReader(j.Uploads()[0].Data))
	if err != nil {
		t.Fatal(err)
	}
	if text, err := io.ReadAll(z); err != nil || string(text) != "<a/>\n<b/>\n" {
		t.Errorf("report %q, %v", text, err)
	}
}

func TestUntrackedArtifacts(t *testing.T) {
	s := newGitServer(t)
	sha := s.repo("group/project", map[string]string{"README": "hello\n", ".gitignore": "*.o\n"})
	c := newCoordinator(t)
	p, j := c.pod(standin.JobSpec{}, "mkdir new; echo n > new/file; echo o > ignored.o; echo changed > README")
	agent := p.helper.Sources.UserAgent
	p.helper.Sources = s.sources("group/project", sha)
	p.helper.Sources.UserAgent = agent
	a := archivePlan()
	a.Untracked, a.Exclude = true, []string{"nothing"}
	p.helper.Artifacts = []job.ArtifactPlan{a}
	wantOutcome(t, p.run(), exited(0))
	p.wants("untracked: found 2 files")
	if diff := cmp.Diff(map[string]string{"new/file": "n\n", "ignored.o": "o\n"}, unzipped(t, j.Uploads()[0].Data)); diff != "" {
		t.Errorf("archive (-want +got):\n%s", diff)
	}
}

// Nothing outside of the project is sent, whatever the script makes of it.
func TestArtifactsFromOutside(t *testing.T) {
	for name, script := range map[string]string{
		"links":               `ln -s SECRETS out; ln -s SECRETS/file file; mkdir deep; ln -s SECRETS deep/out`,
		"the project":         `cd ..; mv project old; ln -s SECRETS project`,
		"the project's place": `cd ..; mv project old; mkdir project; cp -r SECRETS/file project/file`,
	} {
		t.Run(name, func(t *testing.T) {
			c := newCoordinator(t)
			p, j := c.pod(standin.JobSpec{}, "echo mine > mine", "")
			secrets := p.path("secrets")
			for _, dir := range []string{secrets, filepath.Join(secrets, "deep")} {
				if err := os.Mkdir(dir, 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(filepath.Join(dir, "file"), []byte("PLAN"), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			p.build.Steps[0].Script[1] = strings.ReplaceAll(script, "SECRETS", secrets)
			p.helper.Artifacts = []job.ArtifactPlan{archivePlan("**", "out/file", "file", "deep/out/file", "out/*", "../../../secrets/file", secrets+"/file")}
			wantOutcome(t, p.run(), exited(0))
			for entry, text := range unzipped(t, j.Uploads()[0].Data) {
				if strings.Contains(text, "PLAN") {
					t.Errorf("%s has been sent: %q", entry, text)
				}
			}
			if unzipped(t, j.Uploads()[0].Data)["mine"] != "mine\n" {
				t.Error("the job's own file is missing")
			}
		})
	}
}

// GITLAB_ENV is read in the directory that the helper has made.
func TestArtifactNameAndAnotherEnvFile(t *testing.T) {
	c := newCoordinator(t)
	p, j := c.pod(standin.JobSpec{}, "")
	if err := os.WriteFile(p.path("secret"), []byte("NAME=stolen\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	p.build.Steps[0].Script[0] = `echo x > file; rm -f "$GITLAB_ENV"; ln -s ` + p.path("secret") + ` "$GITLAB_ENV"`
	a := archivePlan("file")
	a.Name = "$NAME"
	p.helper.Artifacts = []job.ArtifactPlan{a}
	wantOutcome(t, p.run(), exited(0))
	if got := uploads(j); got != "archive=default.zip" {
		t.Errorf("uploads %q", got)
	}
}

// When downloads fail, nothing of the script runs, and the job is a failed one.
func TestDownloadFails(t *testing.T) {
	for name, tt := range map[string]struct {
		fault standin.Fault
		tries int
		says  string
	}{
		"not found": {standin.Fault{Status: 404, Times: -1}, 2, "not found"},
		"denied":    {standin.Fault{Status: 403, Times: -1}, 1, "permission denied"},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCoordinator(t)
			build := c.AddJob(standin.JobSpec{Name: "build", Held: true})
			build.AddArchive("a.zip", []byte("PK"))
			tt.fault.Endpoint = standin.DownloadArtifact
			fault := c.Inject(tt.fault)
			p, j := c.pod(standin.JobSpec{DependsOn: []*standin.Job{build}}, "echo ran > ran")
			p.helper.GitLab.Attempts = tt.tries
			p.addAfterScript("echo ran")
			a := archivePlan("*")
			a.When = job.WhenFailure
			p.helper.Artifacts = []job.ArtifactPlan{a}
			got := p.run()
			if got.Reason != job.ScriptFailure || got.ExitCode != 1 || !strings.Contains(got.Message, tt.says) || !strings.Contains(got.Message, "build") {
				t.Errorf("outcome %+v", got.Outcome)
			}
			want := "prepare_script get_sources" + strings.Repeat(" download_artifacts", tt.tries) + " upload_artifacts_on_failure cleanup_file_variables"
			if p.phases() != want {
				t.Errorf("phases %q, want %q", p.phases(), want)
			}
			if fault.Hits() != tt.tries || len(j.Uploads()) != 0 {
				t.Errorf("%d requests, %d uploads", fault.Hits(), len(j.Uploads()))
			}
		})
	}
}

func TestTimeoutsAndArtifacts(t *testing.T) {
	for name, tt := range map[string]struct {
		job, script time.Duration
		uploads     string
	}{
		"script": {time.Hour, time.Second, "archive=artifacts.zip"},
		"job":    {3 * time.Second, 0, ""},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCoordinator(t)
			p, j := c.pod(standin.JobSpec{}, "echo x > file", "sleep 60")
			p.helper.Timeout, p.helper.Steps[0].Timeout = tt.job, tt.script
			a := archivePlan("file")
			a.When = job.WhenFailure
			p.helper.Artifacts = []job.ArtifactPlan{a}
			if got := p.run(); got.Reason != job.JobExecutionTimeout {
				t.Errorf("outcome %+v", got.Outcome)
			}
			if got := uploads(j); got != tt.uploads {
				t.Errorf("uploads %q, want %q", got, tt.uploads)
			}
		})
	}
}

func TestCancelAndArtifacts(t *testing.T) {
	for signal, want := range map[string]string{"cancel": "archive=artifacts.zip", "stop": ""} {
		t.Run(signal, func(t *testing.T) {
			c := newCoordinator(t)
			p, j := c.pod(standin.JobSpec{}, "echo x > file; echo ready; sleep 60")
			a := archivePlan("file")
			a.When = job.WhenFailure
			p.helper.Artifacts = []job.ArtifactPlan{a}
			p.onLog = once("\nready\n", func(p *pod) { p.tell("signal", signal) })
			if got := p.run(); got.State != job.Canceled {
				t.Errorf("outcome %+v", got.Outcome)
			}
			if got := uploads(j); got != want {
				t.Errorf("uploads %q, want %q", got, want)
			}
		})
	}
}
