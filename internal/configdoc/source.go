package configdoc

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"strings"
)

// A source is what the Go files of one package say beside their types.
type source struct {
	types  map[string]string            // comment of each type
	fields map[string]map[string]string // comment of each field, by type
	values map[string]string            // constants that are strings, as Go writes them
	keys   map[string]string            // "Type.Field" → key
}

// readSource reads the Go files in dir, without its tests.
func readSource(dir string) (*source, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		return nil, err
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("%s: no Go files", dir)
	}
	s := &source{
		types: map[string]string{}, fields: map[string]map[string]string{},
		values: map[string]string{}, keys: map[string]string{},
	}
	for _, path := range files {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		for _, d := range f.Decls {
			if g, ok := d.(*ast.GenDecl); ok {
				s.declaration(g)
			}
		}
	}
	return s, nil
}

func (s *source) declaration(g *ast.GenDecl) {
	for _, spec := range g.Specs {
		switch spec := spec.(type) {
		case *ast.TypeSpec:
			s.types[spec.Name.Name] = firstText(spec.Doc, g.Doc)
			if st, ok := spec.Type.(*ast.StructType); ok {
				s.structure(spec.Name.Name, st)
			}
		case *ast.ValueSpec:
			for i, name := range spec.Names {
				if i < len(spec.Values) {
					if lit, ok := spec.Values[i].(*ast.BasicLit); ok && lit.Kind == token.STRING {
						s.values[name.Name] = lit.Value
					}
				}
			}
		}
	}
}

func (s *source) structure(name string, st *ast.StructType) {
	s.fields[name] = map[string]string{}
	for _, f := range st.Fields.List {
		text := strings.TrimSpace(firstText(f.Doc) + " " + firstText(f.Comment))
		for _, n := range f.Names {
			s.fields[name][n.Name] = text
			if f.Tag != nil {
				if key := tagKey(f.Tag.Value); key != "" {
					s.keys[name+"."+n.Name] = key
				}
			}
		}
	}
}

var tomlTag = regexp.MustCompile("toml:\"([^\",]*)")

func tagKey(tag string) string {
	if m := tomlTag.FindStringSubmatch(tag); m != nil {
		return m[1]
	}
	return ""
}

func firstText(groups ...*ast.CommentGroup) string {
	for _, g := range groups {
		if g != nil {
			return strings.TrimSpace(g.Text())
		}
	}
	return ""
}

var (
	goName   = regexp.MustCompile(`\[?\b([A-Z][A-Za-z0-9]*)(?:\.([A-Z][A-Za-z0-9]*))?\b\]?`)
	newLines = regexp.MustCompile(`\s*\n\s*`)
)

// plain returns a comment as a reader of the config file reads it: on one line,
// with keys in the place of Go's names of fields, and values in that of constants.
func (s *source) plain(text string) string {
	text = newLines.ReplaceAllString(text, " ")
	return goName.ReplaceAllStringFunc(text, func(word string) string {
		m := goName.FindStringSubmatch(word)
		if m[2] != "" {
			if key, ok := s.keys[m[1]+"."+m[2]]; ok {
				return "`" + key + "`"
			}
			return word
		}
		if value, ok := s.values[m[1]]; ok {
			return "`" + value + "`"
		}
		if key := s.fieldKey(m[1]); key != "" {
			return "`" + key + "`"
		}
		return word
	})
}

// about returns the comment of a type without the type's name, which no reader of
// the config file knows.
func (s *source) about(name string) string {
	text := s.plain(regexp.MustCompile(`^(?:An? )?`+name+`\b(?: (?:is|are)\b)? `).ReplaceAllString(s.types[name], ""))
	if text == "" {
		return ""
	}
	return strings.ToUpper(text[:1]) + text[1:]
}

// fieldKey returns the key of the fields that have name, when that is no English
// word: it has a capital inside.
func (s *source) fieldKey(name string) string {
	if !strings.ContainsFunc(name[1:], func(r rune) bool { return 'A' <= r && r <= 'Z' }) || strings.ToUpper(name) == name || name == "GitLab" {
		return ""
	}
	for field, key := range s.keys {
		if strings.HasSuffix(field, "."+name) {
			return key
		}
	}
	return ""
}
