// Package deploy checks the manifests of this folder, and what is made of them.
package deploy

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/kustomize/api/resource"
	"sigs.k8s.io/yaml"

	"github.com/runnerd/runnerd/deploy/internal/stack"
)

func TestStackIsUpToDate(t *testing.T) {
	want, err := stack.Render("stack")
	if err != nil {
		t.Fatal(err)
	}
	have, err := os.ReadFile("stack.yaml")
	if err != nil || !bytes.Equal(have, want) {
		t.Errorf("stack.yaml is not what deploy/stack makes now (%v); run make stack", err)
	}
}

// everything is the base with all components.
func everything(t *testing.T) []*resource.Resource {
	t.Helper()
	list, err := stack.Objects("testdata/everything")
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// TestPodsAreRestricted: each pod that is shipped runs as the Pod Security Standard
// "restricted" wants it, with a file system that nobody writes to, and asks for what
// it needs.
func TestPodsAreRestricted(t *testing.T) {
	var seen []string
	for _, r := range everything(t) {
		pod := find(t, r, "spec", "template", "spec")
		if pod == nil {
			continue
		}
		seen = append(seen, r.GetName())
		for path, want := range map[string]any{
			"securityContext/runAsNonRoot":        true,
			"securityContext/seccompProfile/type": "RuntimeDefault",
		} {
			if got := at(pod, path); got != want {
				t.Errorf("%s %s: %s is %v, want %v", r.GetKind(), r.GetName(), path, got, want)
			}
		}
		for _, c := range pod["containers"].([]any) {
			container := c.(map[string]any)
			for path, want := range map[string]any{
				"securityContext/allowPrivilegeEscalation": false,
				"securityContext/readOnlyRootFilesystem":   true,
				"securityContext/capabilities/drop":        []any{"ALL"},
			} {
				if got := at(container, path); !equal(got, want) {
					t.Errorf("%s %s: %s is %v, want %v", r.GetKind(), r.GetName(), path, got, want)
				}
			}
			for _, path := range []string{"resources/requests/cpu", "resources/requests/memory", "resources/limits/memory"} {
				if at(container, path) == nil {
					t.Errorf("%s %s: %s is missing", r.GetKind(), r.GetName(), path)
				}
			}
			if image, _ := at(container, "image").(string); !strings.Contains(image, "/") || !strings.Contains(image, ":") {
				t.Errorf("%s %s: image %q has no registry or no tag", r.GetKind(), r.GetName(), image)
			}
		}
	}
	slices.Sort(seen)
	if want := []string{"minio", "runnerd", "runnerd-bucket", "squid"}; !slices.Equal(seen, want) {
		t.Errorf("pods of %q were looked at, want %q", seen, want)
	}
}

// TestRights: the daemon's rights are bounded to its namespace, and hold neither
// exec nor attach nor a wildcard; no other account has any.
func TestRights(t *testing.T) {
	roles := 0
	for _, r := range everything(t) {
		switch r.GetKind() {
		case "ClusterRole", "ClusterRoleBinding":
			t.Errorf("%s %s: the daemon needs no right beyond its namespace", r.GetKind(), r.GetName())
		case "Role":
			roles++
			text, err := r.AsYAML()
			if err != nil {
				t.Fatal(err)
			}
			if m := regexp.MustCompile(`pods/exec|pods/attach|pods/portforward|\*|impersonate|escalate|bind`).Find(text); m != nil {
				t.Errorf("Role %s: has %q", r.GetName(), m)
			}
		}
		if r.GetKind() != "Namespace" && r.GetNamespace() != "runnerd" {
			t.Errorf("%s %s is in namespace %q", r.GetKind(), r.GetName(), r.GetNamespace())
		}
	}
	if roles != 1 {
		t.Errorf("%d Roles, want 1", roles)
	}
}

var (
	metricName = regexp.MustCompile(`\b(?:gitlab_runner|runnerd|process|go|kube|kubelet|container|minio)_[a-z_]+\b`)
	listedName = regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\|")
)

// others are metrics that are not the daemon's own: client_golang's, of each process.
var others = []string{"process_resident_memory_bytes", "process_cpu_seconds_total"}

// TestMetricsExist: alerts and the dashboard ask for series that the daemon has.
// docs/observability.md lists them; another test keeps it in step.
func TestMetricsExist(t *testing.T) {
	known := slices.Clone(others)
	for _, m := range listedName.FindAllStringSubmatch(read(t, "../docs/observability.md"), -1) {
		known = append(known, m[1])
	}
	for _, file := range []string{"components/prometheus/rules.yaml", "components/grafana/dashboard.json"} {
		names := metricName.FindAllString(read(t, file), -1)
		if len(names) < 10 {
			t.Errorf("%s: only %d series", file, len(names))
		}
		for _, name := range names {
			plain := regexp.MustCompile(`_(bucket|sum|count)$`).ReplaceAllString(name, "")
			if !slices.Contains(known, name) && !slices.Contains(known, plain) {
				t.Errorf("%s: no series %q", file, name)
			}
		}
	}
}

// promtool runs promtool on a folder that holds the alerts as rules.yaml, and the
// cases for them as alerts.yaml.
func promtool(t *testing.T, args ...string) {
	t.Helper()
	path, err := exec.LookPath("promtool")
	if err != nil {
		t.Skip("promtool is not installed; Debian's package prometheus has it")
	}
	dir := t.TempDir()
	files := map[string][]byte{"alerts.yaml": []byte(read(t, "testdata/alerts.yaml"))}
	for _, r := range everything(t) {
		if r.GetKind() != "PrometheusRule" {
			continue
		}
		if files["rules.yaml"], err = yaml.Marshal(find(t, r, "spec")); err != nil {
			t.Fatal(err)
		}
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	run := exec.CommandContext(t.Context(), path, args...)
	run.Dir = dir
	if out, err := run.CombinedOutput(); err != nil {
		t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// TestRulesAreValid: Prometheus takes the alerts.
func TestRulesAreValid(t *testing.T) { promtool(t, "check", "rules", "rules.yaml") }

// TestAlerts: each alert fires when it should, and does not when it should not.
func TestAlerts(t *testing.T) {
	rules, cases := read(t, "components/prometheus/rules.yaml"), read(t, "testdata/alerts.yaml")
	for _, a := range regexp.MustCompile(`- alert: (\w+)`).FindAllStringSubmatch(rules, -1) {
		for _, want := range []string{" fires", " does not fire"} {
			if !strings.Contains(cases, "name: "+a[1]+want+"\n") {
				t.Errorf("testdata/alerts.yaml has no case %q", a[1]+want)
			}
		}
	}
	promtool(t, "test", "rules", "alerts.yaml")
}

// TestRunbooks: each alert links to a section that is there.
func TestRunbooks(t *testing.T) {
	rules, book := read(t, "components/prometheus/rules.yaml"), read(t, "../docs/runbooks.md")
	alerts := regexp.MustCompile(`- alert: (\w+)`).FindAllStringSubmatch(rules, -1)
	if len(alerts) == 0 {
		t.Fatal("no alert")
	}
	for _, a := range alerts {
		if !strings.Contains(book, "\n## "+a[1]+"\n") {
			t.Errorf("docs/runbooks.md has no section %q", a[1])
		}
		if !strings.Contains(rules, "docs/runbooks.md#"+strings.ToLower(a[1])+"\n") {
			t.Errorf("alert %s has no link to its section", a[1])
		}
	}
}
