package deploy

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/engine"
	"sigs.k8s.io/yaml"

	"github.com/runnerd/runnerd/deploy/internal/stack"
)

// render returns the objects that the chart makes of values, by kind and name.
func render(t *testing.T, values map[string]any) (map[string]map[string]any, error) {
	t.Helper()
	c := loadChart(t)
	options := chartutil.ReleaseOptions{Name: "runnerd", Namespace: "runnerd", IsInstall: true}
	all, err := chartutil.ToRenderValues(c, values, options, chartutil.DefaultCapabilities)
	if err != nil {
		return nil, err
	}
	files, err := engine.Render(c, all)
	if err != nil {
		return nil, err
	}
	objects := map[string]map[string]any{}
	for name, text := range files {
		for part := range strings.SplitSeq(text, "\n---\n") {
			if strings.TrimSpace(part) == "" || strings.HasSuffix(name, ".tpl") {
				continue
			}
			var object map[string]any
			if err := yaml.Unmarshal([]byte(part), &object); err != nil {
				t.Fatalf("%s: %v\n%s", name, err, part)
			}
			objects[object["kind"].(string)+" "+at(object, "metadata/name").(string)] = object
		}
	}
	return objects, nil
}

func loadChart(t *testing.T) *chart.Chart {
	t.Helper()
	c, err := loader.Load("chart")
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestChartIsTheBase: with the default values the chart makes what the kustomize
// base does, but for the Namespace, which helm is told, and Helm's own labels.
func TestChartIsTheBase(t *testing.T) {
	got, err := render(t, nil)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]map[string]any{}
	list, err := stack.Objects("base")
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range list {
		text, err := r.AsYAML()
		if err != nil {
			t.Fatal(err)
		}
		var object map[string]any
		if err := yaml.Unmarshal(text, &object); err != nil {
			t.Fatal(err)
		}
		if r.GetKind() != "Namespace" {
			want[r.GetKind()+" "+r.GetName()] = object
		}
	}
	for _, object := range got {
		labels := at(object, "metadata/labels").(map[string]any)
		delete(labels, "helm.sh/chart")
		delete(labels, "app.kubernetes.io/managed-by")
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("chart (+) and base (-) differ:\n%s", diff)
	}
}

// TestChartValues: what values are for is where it belongs.
func TestChartValues(t *testing.T) {
	objects, err := render(t, map[string]any{
		"gitlabUrl": "https://gitlab.example.com", "runnerToken": "glrt-abc", "helperImage": "registry.example.com/helper:1",
		"concurrent": 30, "concurrentTotal": 40, "logLevel": "debug", "replicas": 3,
		"image":   map[string]any{"registry": "registry.example.com", "tag": "1.2.3"},
		"metrics": map[string]any{"serviceMonitor": map[string]any{"enabled": true}},
		"runners": map[string]any{"config": "[[runners]]\nexecutor = \"kubernetes\"\n[runners.kubernetes]\nnamespace = \"{{ .Release.Namespace }}\"\n"},
	})
	if err != nil {
		t.Fatal(err)
	}
	config := at(objects["ConfigMap runnerd-config"], "data")
	text, _ := config.(map[string]any)["config.toml"].(string)
	for _, line := range []string{"concurrent = 30 ", "concurrent_total = 40\n", "log_level = \"debug\"\n", "url = \"${CI_SERVER_URL}\" ", "token_file = ", "namespace = \"runnerd\""} {
		if !strings.Contains(text, line) {
			t.Errorf("config.toml has no %q:\n%s", line, text)
		}
	}
	for key, want := range map[string]any{"url": "https://gitlab.example.com", "runner-token": "glrt-abc"} {
		if got := at(objects["Secret runnerd"], "stringData").(map[string]any)[key]; got != want {
			t.Errorf("Secret: %s is %v, want %v", key, got, want)
		}
	}
	deployment := objects["Deployment runnerd"]
	container := at(deployment, "spec/template/spec/containers").([]any)[0].(map[string]any)
	if container["image"] != "registry.example.com/runnerd/runnerd:1.2.3" || at(deployment, "spec/replicas") != 3.0 {
		t.Errorf("image %v, replicas %v", container["image"], at(deployment, "spec/replicas"))
	}
	if objects["ServiceMonitor runnerd"] == nil {
		t.Errorf("no ServiceMonitor among %q", slices.Sorted(maps.Keys(objects)))
	}
}

// TestChartRefuses: values that mean nothing are errors.
func TestChartRefuses(t *testing.T) {
	for name, values := range map[string]map[string]any{
		"an unknown key":        {"replicaCount": 2},
		"a wrong type":          {"replicas": "two"},
		"a key in a table":      {"metrics": map[string]any{"enable": true}},
		"an address without //": {"gitlabUrl": "gitlab.example.com"},
		"a token without url":   {"runnerToken": "glrt-abc"},
	} {
		if _, err := render(t, values); err == nil {
			t.Errorf("%s: %v is accepted", name, values)
		}
	}
}
