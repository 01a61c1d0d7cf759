package conformance_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/runnerd/runnerd/test/conformance"
)

const enough = 150

func TestTable(t *testing.T) {
	rows := conformance.Rows()
	if len(rows) < enough {
		t.Errorf("%d rows, want %d or more", len(rows), enough)
	}
	sites := map[string]bool{}
	for _, s := range conformance.Sites {
		sites[s.Name] = true
	}
	seen := map[string]bool{}
	id, section := regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`), regexp.MustCompile(`^\d+[A-Z]?(\.\d+)?$`)
	for _, r := range rows {
		switch {
		case seen[r.Name]:
			t.Errorf("two rows are named %s", r.Name)
		case !id.MatchString(r.Name):
			t.Errorf("row %q: the name is no short id", r.Name)
		case !section.MatchString(r.Spec):
			t.Errorf("row %s: section %q", r.Name, r.Spec)
		case !strings.HasSuffix(r.Behaviour, ".") || strings.Contains(r.Behaviour, "\n"):
			t.Errorf("row %s: the behaviour is no sentence: %q", r.Name, r.Behaviour)
		case !sites[r.Site]:
			t.Errorf("row %s: there is no site %q", r.Name, r.Site)
		}
		seen[r.Name] = true
	}
}

// TestReport: the document lists the table's rows, and each of them came out.
func TestReport(t *testing.T) {
	text, err := os.ReadFile("../../docs/conformance.md")
	if err != nil {
		t.Fatal(err)
	}
	var listed []string
	for _, m := range regexp.MustCompile("(?m)^\\| .* \\| `([a-z0-9-]+)` \\| [^|]+ \\| (.) \\| (.) \\|$").FindAllStringSubmatch(string(text), -1) {
		listed = append(listed, m[1])
		if m[2] != "✓" || m[3] == "✗" {
			t.Errorf("docs/conformance.md: row %s is %s on the cluster and %s locally", m[1], m[2], m[3])
		}
	}
	var want []string
	for _, r := range conformance.Rows() {
		want = append(want, r.Name)
	}
	if strings.Join(listed, "\n") != strings.Join(want, "\n") {
		t.Errorf("docs/conformance.md lists %d rows, the table has %d, or in another order; run make conformance", len(listed), len(want))
	}
}

// TestShapesHaveDocuments: each shape is one document that names its jobs, and
// no document is without a shape.
func TestShapesHaveDocuments(t *testing.T) {
	documents, err := conformance.Documents.ReadDir("shapes")
	if err != nil {
		t.Fatal(err)
	}
	shapes := conformance.Shapes()
	if len(documents) != len(shapes) {
		t.Errorf("%d documents for %d shapes", len(documents), len(shapes))
	}
	for _, shape := range shapes {
		text, err := conformance.Documents.ReadFile("shapes/" + shape.Name + ".yml")
		if err != nil {
			t.Error(err)
			continue
		}
		for _, job := range shape.Jobs {
			name, _, _ := strings.Cut(job.Name, ": [") // a job of a matrix
			if !strings.Contains("\n"+string(text), "\n"+name+":\n") {
				t.Errorf("shape %s: its document has no job %s", shape.Name, name)
			}
		}
	}
}
