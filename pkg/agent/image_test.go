package agent_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/runnerd/runnerd/pkg/job"
)

// TestImages runs the build process in images of its own: root directories
// that hold nothing but one shell.
func TestImages(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Log("not root: no root directory of its own")
		return
	}
	t.Parallel()
	tests := []struct{ name, program, shell string }{
		{"bash", "/usr/bin/bash", "/bin/bash"},
		{"dash", "/usr/bin/dash", "/bin/sh"},
		{"busybox", "/usr/bin/busybox", "/bin/sh"},
		{"busybox in its own directory", "/usr/bin/busybox", "/busybox/sh"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := newImagePod(t, "X=1; cd /", "echo x$X in $(pwd)", "false || echo status $CI_JOB_STATUS", "(exit 7)")
			p.install(tt.program, tt.shell)
			p.addAfterScript("echo after $CI_JOB_STATUS")
			wantOutcome(t, p.run(), exited(7))
			p.wants("x1 in /", "status running", "after failed")

			p = newImagePod(t, "echo started; while :; do :; done")
			p.install(tt.program, tt.shell)
			p.addAfterScript("echo after $CI_JOB_STATUS")
			p.onLog = once("\nstarted\n", func(p *pod) { p.tell("signal", "cancel") })
			wantOutcome(t, p.run(), canceledOutcome)
			p.wants("after canceled")
		})
	}
}

func TestImageWithoutShell(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Log("not root: no root directory of its own")
		return
	}
	t.Parallel()
	p := newImagePod(t, "true")
	p.addAfterScript("true")
	wantOutcome(t, p.run(), job.Outcome{
		State: job.Failed, Reason: job.RunnerConfigurationError, Message: "no shell (bash or sh) in the image: use an image that has one",
	})
	if want := "prepare_script get_sources cleanup_file_variables"; p.phases() != want {
		t.Errorf("phases %q, want %q", p.phases(), want)
	}
}

// newImagePod returns a pod whose build process has the pod's directory for
// its root, with the agent in it and no shell.
func newImagePod(t *testing.T, script ...string) *pod {
	t.Helper()
	p := newPod(t, script...)
	p.image = p.dir
	p.install(agentBinary, "/share/bin/agent")
	if err := os.MkdirAll(p.path("dev"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(p.path("dev", "null"), nil, 0o666); err != nil { // good enough for stdin
		t.Fatal(err)
	}
	inside := func(path string) string { return path[len(p.dir):] }
	p.build.ProjectDir, p.build.TempDir, p.build.EnvFile = inside(p.build.ProjectDir), inside(p.build.TempDir), inside(p.build.EnvFile)
	return p
}

// enterImage makes cmd run in the image.
func (p *pod) enterImage(cmd *exec.Cmd) {
	cmd.Path, cmd.Dir = "/share/bin/agent", "/"
	cmd.Args = []string{"agent", "build", "--plan", "/plan/" + job.BuildPlanFile, "--share", "/share"}
	cmd.SysProcAttr.Chroot = p.image
}

var library = regexp.MustCompile(`/\S+\.so\S*`)

// install copies a program and its libraries into the image.
func (p *pod) install(program, path string) {
	p.t.Helper()
	// A program without libraries is one that ldd does not like.
	libraries, _ := exec.Command("ldd", program).Output()
	copies := map[string]string{path: program}
	for _, lib := range library.FindAllString(string(libraries), -1) {
		copies[lib] = lib
	}
	for to, from := range copies {
		text, err := os.ReadFile(from)
		if err != nil {
			p.t.Fatal(err)
		}
		if err := os.MkdirAll(filepath.Dir(p.path(to)), 0o755); err != nil {
			p.t.Fatal(err)
		}
		if err := os.WriteFile(p.path(to), text, 0o755); err != nil {
			p.t.Fatal(err)
		}
	}
}
