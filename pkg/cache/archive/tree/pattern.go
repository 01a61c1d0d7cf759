package tree

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/bmatcuk/doublestar/v4"

	"github.com/runnerd/runnerd/pkg/confine"
)

// A pattern is a glob, cut where its first special character is, so that only
// what is below its literal part is searched.
type pattern struct {
	base string // literal; "." is the project directory
	glob string // relative to base; "" means base itself
	all  bool   // base itself matches, and so all that is in it

	// What the glob says about the folders of its first levels. Below them any
	// folder may hold a match if deep is set, and none otherwise.
	levels []string
	deep   bool
}

var errEmptyPattern = errors.New("the path is empty")

// parse reads a pattern as a job has it. Its error is a message for the job's
// author.
func parse(text, projectDir string) (pattern, error) {
	if text == "" {
		return pattern{}, errEmptyPattern
	}
	clean := path.Clean(text)
	if path.IsAbs(clean) {
		clean = relative(clean, path.Clean(projectDir))
	}
	if clean == "" || clean == ".." || strings.HasPrefix(clean, "../") {
		return pattern{}, fmt.Errorf("it is outside the project directory %s, which is not supported", projectDir)
	}
	if !doublestar.ValidatePattern(clean) {
		return pattern{}, errors.New("it is not a valid pattern")
	}
	p := split(clean)
	if p.base != "." {
		if err := confine.Check(p.base); err != nil {
			return pattern{}, err
		}
	}
	return p, nil
}

// relative returns the absolute path as it is below dir, or "".
func relative(abs, dir string) string {
	if abs == dir {
		return "."
	}
	rest, ok := strings.CutPrefix(abs, strings.TrimSuffix(dir, "/")+"/")
	if !ok {
		return ""
	}
	return rest
}

func split(clean string) pattern {
	levels := segments(clean)
	literal := 0
	for literal < len(levels) && !strings.ContainsAny(levels[literal], `*?[{\`) {
		literal++
	}
	p := pattern{base: strings.Join(levels[:literal], "/"), levels: levels[literal:]}
	p.glob = strings.Join(p.levels, "/")
	p.all = !slices.ContainsFunc(p.levels, func(level string) bool { return level != "**" })
	if p.base == "" {
		p.base = "."
	}
	for i, level := range p.levels {
		if strings.Contains(level, "**") || strings.Contains(level, "/") {
			p.levels, p.deep = p.levels[:i], true
			break
		}
	}
	return p
}

// segments cuts a pattern at its slashes, but not at those inside of braces,
// where each alternative may have its own.
func segments(glob string) []string {
	var list []string
	start, braces := 0, 0
	for i := 0; i < len(glob); i++ {
		switch glob[i] {
		case '\\':
			i++
		case '{':
			braces++
		case '}':
			braces--
		case '/':
			if braces == 0 {
				list = append(list, glob[start:i])
				start = i + 1
			}
		}
	}
	return append(list, glob[start:])
}

// matches says whether name, relative to base, is what the glob means.
func (p *pattern) matches(name string) bool { return doublestar.MatchUnvalidated(p.glob, name) }

// enters says whether the folder name, depth levels below base, may hold a
// match, if the folder above it may.
func (p *pattern) enters(name string, depth int) bool {
	if depth > len(p.levels) {
		return p.deep
	}
	if depth == len(p.levels) && !p.deep {
		return false
	}
	return doublestar.MatchUnvalidated(p.levels[depth-1], path.Base(name))
}
