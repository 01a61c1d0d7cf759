package markdown

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// hole stands for what a message holds of its own, in the code and in the document.
const hole = "…"

var (
	verb  = regexp.MustCompile(`%[-+# 0]*(?:\d+|\*)?(?:\.\d+)?(?:\[\d+\])?[a-zA-Z]`)
	holes = regexp.MustCompile(`(?:` + hole + `)+`)
)

// A code is the texts in the project's sources.
type code struct {
	texts []string          // all strings, with holes for what is put into them
	said  map[string]string // what jobs' and the daemon's logs say of trouble, and where that stands
}

// readCode reads the strings in the sources of daemon and agent.
func readCode(t *testing.T) code {
	t.Helper()
	c := code{said: map[string]string{}}
	for _, dir := range []string{"pkg", "cmd"} {
		err := filepath.WalkDir(filepath.Join(project, dir), func(path string, d fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			set := token.NewFileSet()
			f, err := parser.ParseFile(set, path, nil, parser.SkipObjectResolution)
			if err != nil {
				return err
			}
			ast.Inspect(f, func(n ast.Node) bool {
				if e, ok := n.(ast.Expr); ok {
					if s := textOf(e); strings.Trim(s, hole) != "" {
						c.texts = append(c.texts, s)
					}
				}
				if s := trouble(n); s != "" {
					c.said[s] = set.Position(n.Pos()).String()
				}
				return true
			})
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return c
}

// textOf returns a string expression with holes; "" for none.
func textOf(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.BasicLit:
		if s, err := strconv.Unquote(e.Value); err == nil && e.Kind == token.STRING {
			return strings.ReplaceAll(verb.ReplaceAllString(s, hole), "%%", "%")
		}
	case *ast.BinaryExpr:
		left, right := textOf(e.X), textOf(e.Y)
		if e.Op != token.ADD || left == "" && right == "" {
			return ""
		}
		if left == "" {
			left = hole
		}
		if right == "" {
			right = hole
		}
		return holes.ReplaceAllString(left+right, hole)
	case *ast.CallExpr:
		if name(e.Fun) == "Sprintf" {
			return textOf(e.Args[0])
		}
	}
	return ""
}

// trouble returns the text of a warning, an error or a failure of a job.
func trouble(n ast.Node) string {
	call, ok := n.(*ast.CallExpr)
	if !ok || len(call.Args) == 0 {
		return ""
	}
	argument := 0
	switch name(call.Fun) {
	case "Warn", "Error":
	case "Failf":
		argument = 1
	default:
		return ""
	}
	if argument >= len(call.Args) {
		return ""
	}
	if s := textOf(call.Args[argument]); len(strings.Trim(s, hole+": ")) > 3 {
		return s
	}
	return ""
}

func name(fun ast.Expr) string {
	switch f := fun.(type) {
	case *ast.SelectorExpr:
		return f.Sel.Name
	case *ast.Ident:
		return f.Name
	}
	return ""
}

// short is below what a message has of its own to be looked for.
const short = 10

// TestTroubleshooting: each line that docs/troubleshooting.md quotes is in the code,
// and what the code says of trouble is quoted there.
func TestTroubleshooting(t *testing.T) {
	const document = "docs/troubleshooting.md"
	c := readCode(t)
	var quoted []string
	for i, line := range Prose(read(t, document)) {
		m := regexp.MustCompile("^\\| `([^`]*)` \\|").FindStringSubmatch(line)
		if m == nil {
			continue
		}
		quoted = append(quoted, m[1])
		if !slices.ContainsFunc(c.texts, func(text string) bool { return fits(m[1], text) }) {
			t.Errorf("%s:%d: no text in the code fits %q", document, i+1, m[1])
		}
	}
	if len(quoted) < 100 {
		t.Errorf("%s quotes %d lines only", document, len(quoted))
	}
	for text, where := range c.said {
		if len(strings.ReplaceAll(text, hole, "")) >= short && !slices.ContainsFunc(quoted, func(q string) bool { return fits(q, text) }) {
			t.Errorf("%s: %s has no row for %q", where, document, text)
		}
	}
}

// fits reports whether a quoted line stands for text: all that it says, in that
// order, and from the text's beginning unless it begins with a hole.
func fits(quoted, text string) bool {
	for i, part := range strings.Split(quoted, hole) {
		at := strings.Index(text, part)
		if at < 0 || i == 0 && part != "" && at != 0 {
			return false
		}
		text = text[at+len(part):]
	}
	return strings.Trim(strings.TrimPrefix(text, hole), " ") == "" || strings.HasSuffix(quoted, hole)
}
