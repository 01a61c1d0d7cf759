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

var metricName = regexp.MustCompile(`\b(?:gitlab_runner|runnerd)_[a-z_]+\b`)

// TestMetricsExist: alerts and the dashboard ask for series that the daemon has.
func TestMetricsExist(t *testing.T) {
	known := sources(t, "../pkg")
	for _, file := range []string{"components/prometheus/rules.yaml", "components/grafana/dashboard.json"} {
		for _, name := range metricName.FindAllString(read(t, file), -1) {
			plain := regexp.MustCompile(`_(bucket|sum|count)$`).ReplaceAllString(name, "")
			if !strings.Contains(known, `"`+name+`"`) && !strings.Contains(known, `"`+plain+`"`) {
				t.Errorf("%s: no series %q", file, name)
			}
		}
	}
}

// TestRulesAreValid: Prometheus takes the alerts.
func TestRulesAreValid(t *testing.T) {
	promtool, err := exec.LookPath("promtool")
	if err != nil {
		t.Skip("promtool is not installed; Debian's package prometheus has it")
	}
	for _, r := range everything(t) {
		if r.GetKind() != "PrometheusRule" {
			continue
		}
		groups, err := yaml.Marshal(find(t, r, "spec"))
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(t.TempDir(), "rules.yaml")
		if err := os.WriteFile(file, groups, 0o600); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.CommandContext(t.Context(), promtool, "check", "rules", file).CombinedOutput(); err != nil {
			t.Errorf("promtool check rules: %v\n%s", err, out)
		}
	}
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
