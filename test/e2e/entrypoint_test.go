//go:build e2e

package e2e

import (
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/runnerd/runnerd/internal/standin"
)

// withEntrypoint pushes the debian image once more, with an entrypoint, and
// returns its name.
func withEntrypoint(t *testing.T, tag string, entrypoint ...string) string {
	t.Helper()
	base, err := remote.Image(reference(t, image("debian")))
	if err != nil {
		t.Fatal(err)
	}
	config, err := base.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	own := config.Config
	own.Entrypoint = entrypoint
	changed, err := mutate.Config(base, own)
	if err != nil {
		t.Fatal(err)
	}
	text := ground.registry + "/test/entrypoint:" + tag
	ref, err := name.NewTag(text, name.Insecure)
	if err != nil {
		t.Fatal(err)
	}
	push(t, ref, changed)
	return text
}

// greeting is an entrypoint that does something and runs its arguments.
var greeting = []string{"sh", "-c", `export GREETING="entrypoint $0"; exec "$@"`}

// TestEntrypoint: what the image and the job say about the entrypoint.
func TestEntrypoint(t *testing.T) {
	t.Parallel()
	s := start(t, options{})
	own := withEntrypoint(t, "own", append(greeting, "of the image")...)
	honour := standin.Variable{Key: "FF_KUBERNETES_HONOR_ENTRYPOINT", Value: "true", Public: true}
	tests := []struct {
		name  string
		image standin.Image
		vars  []standin.Variable
		want  string
		note  bool
	}{
		{name: "image's, replaced", image: standin.Image{Name: own}, want: "greeting: none\n"},
		{name: "image's, honoured", image: standin.Image{Name: own}, vars: []standin.Variable{honour}, want: "greeting: entrypoint of the image\n"},
		{
			name: "job's, replaced", want: "greeting: none\n", note: true,
			image: standin.Image{Name: image("debian"), Entrypoint: append(greeting, "of the job")},
		},
		{
			name: "job's, honoured", vars: []standin.Variable{honour}, want: "greeting: entrypoint of the job\n",
			image: standin.Image{Name: own, Entrypoint: append(greeting, "of the job")},
		},
		{
			name: "taken away", vars: []standin.Variable{honour}, want: "greeting: none\n",
			image: standin.Image{Name: own, Entrypoint: []string{""}},
		},
	}
	jobs := make([]*standin.Job, len(tests))
	for i, tt := range tests {
		jobs[i] = s.add(standin.JobSpec{
			Name: tt.name, Image: tt.image, Variables: tt.vars, Script: []string{`echo "greeting: ${GREETING:-none}"`},
		})
	}
	for i, tt := range tests {
		s.finish(jobs[i], standin.Success)
		if got := section(t, jobs[i].Text(), "step_script"); !strings.HasSuffix(got, tt.want) {
			t.Errorf("%s: script section %q, want %q", tt.name, got, tt.want)
		}
		if got := strings.Contains(jobs[i].Text(), "entrypoint is replaced by a shell"); got != tt.note {
			t.Errorf("%s: the log tells of a replaced entrypoint: %v, want %v", tt.name, got, tt.note)
		}
	}
}

// TestEntrypointThatRunsNothing: the job ends at once and its log says why.
func TestEntrypointThatRunsNothing(t *testing.T) {
	t.Parallel()
	s := start(t, options{})
	j := s.add(standin.JobSpec{
		Image:     standin.Image{Name: image("debian"), Entrypoint: []string{"sh", "-c", "exit 7"}},
		Variables: []standin.Variable{{Key: "FF_KUBERNETES_HONOR_ENTRYPOINT", Value: "true", Public: true}},
	})
	s.finish(j, standin.Failed)
	t.Logf("%s (%s)", j.FailureReason(), j.Text())
	if !strings.Contains(j.Text(), "entrypoint") {
		t.Errorf("the log does not name the entrypoint:\n%s", j.Text())
	}
}

// TestFileVariables: they lie in memory, and only the user of the build image
// can read them; no service sees them.
func TestFileVariables(t *testing.T) {
	t.Parallel()
	s := start(t, options{kubernetes: `allowed_users = ["0", "1234"]`})
	file := standin.Variable{Key: "KUBECONFIG", Value: "line 1\nline 2", File: true}
	check := []string{
		`test "$KUBECONFIG" = "$CI_PROJECT_DIR.tmp/KUBECONFIG"`,
		`test "$RUNNER_TEMP_PROJECT_DIR" = "$CI_PROJECT_DIR.tmp"`,
		`stat -L -c 'mode %a user %u' "$KUBECONFIG"`, `stat -f -L -c 'on %T' "$KUBECONFIG"`, `tail -n 1 "$KUBECONFIG"; echo`,
		`echo ADDED=later >> "$GITLAB_ENV"`,
	}
	after := []string{`echo "added $ADDED"`, `tail -n 1 "$KUBECONFIG"; echo`}
	for user, name := range map[string]string{"0": "root", "1234": "other"} {
		j := s.add(standin.JobSpec{
			Name: name, Variables: []standin.Variable{file}, Script: check, AfterScript: after,
			Image: standin.Image{Name: image("debian"), ExecutorOpts: map[string]any{"kubernetes": map[string]any{"user": user}}},
			Services: []standin.Service{{
				Name: image("busybox"), Alias: "spy", Command: []string{"sh", "-c", "while sleep 0.1; do cat /builds/group/*.tmp/* 2>/dev/null >> /builds/spied; done"},
			}},
		})
		s.finish(j, standin.Success)
		script := section(t, j.Text(), "step_script")
		for _, want := range []string{"mode 600 user " + user + "\n", "on tmpfs\n", "line 2\n"} {
			if !strings.Contains(script, want) {
				t.Errorf("user %s: no %q in\n%s", user, want, script)
			}
		}
		if got := section(t, j.Text(), "after_script"); !strings.Contains(got, "added later\n") || !strings.Contains(got, "line 2\n") {
			t.Errorf("user %s: after_script:\n%s", user, got)
		}
	}
}
