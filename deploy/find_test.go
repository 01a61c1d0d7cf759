package deploy

import (
	"os"
	"reflect"
	"strings"
	"testing"

	"sigs.k8s.io/kustomize/api/resource"
)

// find returns the table at the path in an object, or nil.
func find(t *testing.T, r *resource.Resource, path ...string) map[string]any {
	t.Helper()
	object, err := r.Map()
	if err != nil {
		t.Fatal(err)
	}
	table, _ := at(object, strings.Join(path, "/")).(map[string]any)
	return table
}

// at returns the value at a path with slashes, or nil.
func at(table map[string]any, path string) any {
	var v any = table
	for key := range strings.SplitSeq(path, "/") {
		inner, _ := v.(map[string]any)
		if v = inner[key]; v == nil {
			return nil
		}
	}
	return v
}

func equal(a, b any) bool { return reflect.DeepEqual(a, b) }

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
