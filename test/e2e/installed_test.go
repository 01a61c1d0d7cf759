//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/runnerd/runnerd/internal/markdown"
	"github.com/runnerd/runnerd/internal/standin"
)

// installed is runnerd in the cluster, beside the stand-in GitLab on the node.
type installed struct {
	*testing.T
	gitlab *standin.Server
	runner *standin.Runner
	hello  *standin.Repository
	dir    string // where the commands run: its deploy/ has the manifests
	path   string // of programs, with kubectl in front
}

// install does what docs/install.md says, with images in the cluster's registry. It
// is skipped where nobody has built them.
func install(t *testing.T) *installed {
	t.Helper()
	s := &installed{T: t, dir: t.TempDir()}
	images := os.Getenv("RUNNERD_IMAGES")
	if images == "" {
		t.Skip("RUNNERD_IMAGES is not set: build the images with `make images`, and name dist/images")
	}
	s.startGitLab()
	s.putKubectl()
	daemon, helper := s.push(images)
	s.manifests(daemon, helper, s.pushMinIO())
	t.Cleanup(s.remove)
	s.documented("docs/install.md", "commands: install", map[string]string{
		"https://gitlab.example.com": s.gitlab.URL(), "glrt-…": s.runner.Token(),
	})
	s.kubectl("--namespace", "runnerd", "wait", "--for=condition=complete", "--timeout=120s", "job/runnerd-bucket")
	return s
}

func (s *installed) startGitLab() {
	s.Helper()
	s.gitlab = standin.New(standin.Options{})
	var lc net.ListenConfig
	listener, err := lc.Listen(context.Background(), "tcp", ground.node+":0")
	if err == nil {
		err = s.gitlab.Start(listener)
	}
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() {
		for _, v := range s.gitlab.Violations() {
			s.Errorf("protocol violation: %s", v)
		}
		if err := s.gitlab.Close(); err != nil {
			s.Errorf("close the stand-in: %v", err)
		}
	})
	s.runner = s.gitlab.AddRunner(standin.RunnerSpec{Description: "installed"})
	s.hello, err = s.gitlab.AddRepository("group/hello", map[string]string{"lib/data.txt": strings.Repeat("data\n", 1000)})
	if err != nil {
		s.Fatal(err)
	}
}

// putKubectl makes the cluster tool's kubectl the one that commands find.
func (s *installed) putKubectl() {
	s.Helper()
	bin := filepath.Join(s.dir, "bin")
	script := fmt.Sprintf("#!/bin/sh\nexec %q kubectl \"$@\"\n", ground.cluster)
	if err := os.Mkdir(bin, 0o755); err != nil {
		s.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(bin, "kubectl"), []byte(script), 0o755); err != nil {
		s.Fatal(err)
	}
	s.path = bin + ":" + os.Getenv("PATH")
}

// push sends the images to the cluster's registry with the project's own tool.
func (s *installed) push(images string) (daemon, helper string) {
	s.Helper()
	out := s.run(exec.Command(s.repository("bin/images"), "push", "--insecure", "--from", images, "--to", ground.registry+"/install"))
	refs := strings.Fields(out)
	if len(refs) != 2 {
		s.Fatalf("images push prints %q, want two references", out)
	}
	return refs[0], refs[1]
}

// pushMinIO makes an image of the MinIO server that tests use, and busybox for its
// shell, and returns its reference.
func (s *installed) pushMinIO() string {
	s.Helper()
	base, err := remote.Image(s.reference(image("busybox")))
	if err != nil {
		s.Fatal(err)
	}
	program := os.Getenv("RUNNERD_MINIO")
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) {
		var out bytes.Buffer
		tar := exec.Command("tar", "-C", filepath.Dir(program), "--transform", "s,^,usr/bin/,", "-cf", "-", filepath.Base(program))
		tar.Stdout = &out
		err := tar.Run()
		return io.NopCloser(&out), err
	}, tarball.WithCompressedCaching)
	if err != nil {
		s.Fatal(err)
	}
	var with v1.Image
	if with, err = mutate.AppendLayers(base, layer); err != nil {
		s.Fatal(err)
	}
	ref := s.reference(ground.registry + "/install/minio:1")
	if err := remote.Write(ref, with); err != nil {
		s.Fatal(err)
	}
	return ref.Name()
}

func (s *installed) reference(text string) name.Reference {
	s.Helper()
	ref, err := name.ParseReference(text, name.Insecure)
	if err != nil {
		s.Fatal(err)
	}
	return ref
}

// manifests writes deploy/stack.yaml with other images in it, as docs/install.md
// says for a registry of one's own.
func (s *installed) manifests(daemon, helper, minio string) {
	s.Helper()
	split := func(ref string) (image, tag string) {
		i := strings.LastIndexByte(ref, ':')
		return ref[:i], ref[i+1:]
	}
	shipped, err := os.ReadFile(s.repository("deploy/stack.yaml"))
	if err != nil {
		s.Fatal(err)
	}
	daemonName, daemonTag := split(daemon)
	minioName, minioTag := split(minio)
	overlay := fmt.Sprintf(`resources: [stack.yaml]
images:
  - {name: ghcr.io/runnerd/runnerd, newName: %q, newTag: %q}
  - {name: quay.io/minio/minio, newName: %q, newTag: %q}
patches:
  - target: {kind: Deployment, name: runnerd}
    patch: |
      - op: add
        path: /spec/template/spec/containers/0/env/-
        value: {name: RUNNERD_HELPER_IMAGE, value: %q}
`, daemonName, daemonTag, minioName, minioTag, helper)
	s.write("overlay/stack.yaml", shipped)
	s.write("overlay/kustomization.yaml", []byte(overlay))
	s.write("deploy/stack.yaml", []byte(s.kubectl("kustomize", "overlay")))
}

func (s *installed) write(name string, text []byte) {
	s.Helper()
	path := filepath.Join(s.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		s.Fatal(err)
	}
	if err := os.WriteFile(path, text, 0o600); err != nil {
		s.Fatal(err)
	}
}

// commands returns the code block of a document that a comment labels.
func (s *installed) commands(document, label string) string {
	s.Helper()
	text, err := os.ReadFile(s.repository(document))
	if err != nil {
		s.Fatal(err)
	}
	for _, b := range markdown.Blocks(string(text)) {
		if b.Label == label {
			return b.Text
		}
	}
	s.Fatalf("%s has no code block with the comment %q", document, label)
	return ""
}

// documented runs the commands of a document, with other words for the examples in
// them.
func (s *installed) documented(document, label string, words map[string]string) {
	s.Helper()
	script := strings.ReplaceAll("\n"+s.commands(document, label), "\n$ ", "\n")
	for from, to := range words {
		if !strings.Contains(script, from) {
			s.Fatalf("the commands of %s do not hold %q:\n%s", document, from, script)
		}
		script = strings.ReplaceAll(script, from, to)
	}
	s.run(exec.Command("bash", "-euo", "pipefail", "-c", script))
}

func (s *installed) kubectl(args ...string) string {
	s.Helper()
	return s.run(exec.Command(ground.cluster, append([]string{"kubectl"}, args...)...))
}

// run runs a command, and returns what it prints.
func (s *installed) run(c *exec.Cmd) string {
	s.Helper()
	var out, said bytes.Buffer
	c.Dir, c.Env = s.dir, append(os.Environ(), "PATH="+s.path)
	c.Stdout, c.Stderr = &out, &said
	if err := c.Run(); err != nil {
		s.Fatalf("%q: %v\n%s%s\nthe daemons' log:\n%s", c.Args, err, &out, &said, s.logs())
	}
	return out.String()
}

// logs are what the namespace's own pods say, for a test that has failed.
func (s *installed) logs() string {
	var all bytes.Buffer
	for _, args := range [][]string{
		{"get", "pods,jobs,events", "-n", "runnerd", "-o", "wide"},
		{"logs", "-n", "runnerd", "-l", "app.kubernetes.io/part-of=runnerd", "--tail=200", "--prefix"},
	} {
		c := exec.Command(ground.cluster, append([]string{"kubectl"}, args...)...)
		c.Stdout, c.Stderr = &all, &all
		_ = c.Run() // it is for reading only
	}
	return all.String()
}

// remove deletes everything and waits until it is gone.
func (s *installed) remove() {
	if s.Failed() {
		s.Logf("in the cluster:\n%s", s.logs())
	}
	ctx := context.Background()
	if err := ground.api.CoreV1().Namespaces().Delete(ctx, "runnerd", metav1.DeleteOptions{}); err != nil && !apierrors.IsNotFound(err) {
		s.Error(err)
	}
	wait(s, "the end of the namespace runnerd", func() bool {
		_, err := ground.api.CoreV1().Namespaces().Get(ctx, "runnerd", metav1.GetOptions{})
		return apierrors.IsNotFound(err)
	})
}

// repository is the path of a file of this repository: tests run in their package's
// folder.
func (s *installed) repository(name string) string {
	s.Helper()
	path, err := filepath.Abs(filepath.Join("../..", name))
	if err != nil {
		s.Fatal(err)
	}
	return path
}
