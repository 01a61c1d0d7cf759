package markdown

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// project is the project's root, seen from here.
const project = "../.."

// documents returns the paths of the project's Markdown files, from its root.
func documents(t *testing.T) []string {
	t.Helper()
	var found []string
	err := fs.WalkDir(os.DirFS(project), ".", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "testdata" || d.Name() == "dist" || path != "." && strings.HasPrefix(d.Name(), ".")):
			return fs.SkipDir
		case filepath.Ext(path) == ".md":
			found = append(found, path)
		}
		return nil
	})
	if err != nil || len(found) < 10 {
		t.Fatalf("found %d documents: %v", len(found), err)
	}
	return found
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(project, path))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestDocumentLinks: what a document links to within the project is there, with the
// heading.
func TestDocumentLinks(t *testing.T) {
	anchors := map[string]map[string]bool{}
	for _, path := range documents(t) {
		anchors[path] = Anchors(read(t, path))
	}
	for path := range anchors {
		for _, l := range Links(read(t, path)) {
			file, anchor, _ := strings.Cut(l.Target, "#")
			target := path
			if file != "" {
				target = filepath.Join(filepath.Dir(path), file)
			}
			if _, err := os.Stat(filepath.Join(project, target)); err != nil {
				t.Errorf("%s:%d: link to %q: %v", path, l.Line, l.Target, err)
				continue
			}
			if anchor != "" && !anchors[target][anchor] {
				t.Errorf("%s:%d: link to %q: %s has no heading of that anchor", path, l.Line, l.Target, target)
			}
		}
	}
}

// TestDocumentsAreNamed: README.md leads to each document of docs/.
func TestDocumentsAreNamed(t *testing.T) {
	linked := map[string]bool{}
	for _, l := range Links(read(t, "README.md")) {
		file, _, _ := strings.Cut(l.Target, "#")
		linked[file] = true
	}
	for _, path := range documents(t) {
		if strings.HasPrefix(path, "docs/") && !linked[path] {
			t.Errorf("README.md has no link to %s", path)
		}
	}
}
