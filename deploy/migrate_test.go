package deploy

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"
)

// TestMigratedValues: what docs/migrate.md says of values of GitLab Runner's chart.
func TestMigratedValues(t *testing.T) {
	text, err := os.ReadFile("../docs/migrate.md")
	if err != nil {
		t.Fatal(err)
	}
	shown := func(label string) string {
		m := regexp.MustCompile("(?s)<!-- values: " + label + " -->\n\n```[a-z]+\n(.*?)```").FindSubmatch(text)
		if m == nil {
			t.Fatalf("docs/migrate.md has no values %q", label)
		}
		return string(m[1])
	}
	values := func(label string) (v map[string]any) {
		if err := yaml.Unmarshal([]byte(shown(label)), &v); err != nil {
			t.Fatalf("values %q: %v", label, err)
		}
		return v
	}
	_, err = render(t, values("before"))
	if err == nil {
		t.Fatal("the values before are taken")
	}
	// The order of what is named is any.
	quoted := regexp.MustCompile(`'[^']*'`)
	named := func(text string) []string { return slices.Sorted(slices.Values(quoted.FindAllString(text, -1))) }
	if diff := cmp.Diff(named(shown("refused")), named(strings.ReplaceAll(err.Error(), "\t", ""))); diff != "" {
		t.Errorf("the values before (-doc +chart): %s\n%v", diff, err)
	}
	objects, err := render(t, values("after"))
	if err != nil {
		t.Fatalf("the values after: %v", err)
	}
	config, _ := at(objects["ConfigMap runnerd-config"], "data").(map[string]any)["config.toml"].(string)
	if !strings.Contains(config, `namespace = "runnerd"`) || !strings.Contains(config, "token_file = ") {
		t.Errorf("config.toml:\n%s", config)
	}
}
