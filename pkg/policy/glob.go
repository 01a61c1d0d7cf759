package policy

import (
	"slices"
	"strconv"
	"strings"

	"github.com/bmatcuk/doublestar/v4"
)

// globs are the patterns of one condition.
type globs struct {
	texts    []string // as in the config
	patterns []string
	form     func(string) string // of pattern and value alike, before they are compared
}

// Forms of what globs are compared with.
var (
	asIs = func(s string) string { return s }

	// GitLab does not know two paths or logins that differ in case only.
	anyCase = strings.ToLower

	// A slash is nothing special in the name of a job or an environment:
	// "*" reaches across it, as it does at GitLab.
	oneWord = func(s string) string { return strings.ReplaceAll(s, "/", "\x00") }

	// A ref without its kind is a branch.
	refForm = func(s string) string {
		if strings.HasPrefix(s, "refs/") {
			return s
		}
		return branches + s
	}
)

func newGlobs(p *problems, key string, texts []string, form func(string) string) *globs {
	g := &globs{texts: texts, form: form}
	for i, text := range texts {
		alternatives := braces(text)
		switch {
		case text == "":
			p.add(element(key, i), "empty; write a pattern, or take it out")
		case alternatives == nil:
			p.add(element(key, i), "pattern %q: more than %d alternatives; write fewer in its braces", text, maxAlternatives)
		}
		for _, alternative := range alternatives {
			pattern := form(alternative)
			if !doublestar.ValidatePattern(pattern) {
				p.add(element(key, i), "pattern %q is not a valid glob; use *, **, ?, [a-z] and {a,b}", text)
				break
			}
			g.patterns = append(g.patterns, pattern)
		}
	}
	return g
}

func (g *globs) match(value string) bool {
	value = g.form(value)
	return slices.ContainsFunc(g.patterns, func(p string) bool { return doublestar.MatchUnvalidated(p, value) })
}

func (g *globs) String() string {
	var out []string
	for _, t := range g.texts {
		out = append(out, strconv.Quote(t))
	}
	return strings.Join(out, " or ")
}
