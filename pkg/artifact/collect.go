package artifact

import (
	"context"
	"path"
	"strconv"
	"strings"

	"github.com/bmatcuk/doublestar/v4"

	"github.com/runnerd/runnerd/pkg/cache/archive/tree"
	"github.com/runnerd/runnerd/pkg/confine"
)

// A Selection says which files an artifact is made of. Variables are expanded.
type Selection struct {
	ProjectDir string   // absolute; what the root is, as far as patterns know
	Paths      []string // globs as doublestar has them, relative to ProjectDir or absolute; a folder stands for all that is in it
	Untracked  []string // single paths
	Exclude    []string // globs of paths to leave out; a folder stands for itself only
}

// Files are what a Selection has found: sorted by path, each path once.
type Files struct {
	Entries  []tree.Entry
	Paths    []tree.Match // how many each of Selection.Paths has found
	Exclude  []tree.Match // how many each of Selection.Exclude has taken away
	Warnings []string     // what was left out and why
}

// Collect finds the files below root that sel means. What it cannot read it
// leaves out with a warning; its error is ctx's.
func Collect(ctx context.Context, root *confine.Root, sel Selection) (*Files, error) {
	found, err := tree.Collect(ctx, root, tree.Selection{Patterns: sel.Paths, ProjectDir: sel.ProjectDir, Untracked: sel.Untracked})
	if err != nil {
		return nil, err
	}
	files := &Files{Paths: found.Matches, Warnings: found.Warnings}
	patterns := files.excludes(sel)
	for _, e := range found.Entries {
		if !files.excluded(patterns, e.Path) {
			files.Entries = append(files.Entries, e)
		}
	}
	return files, nil
}

// excludes returns the patterns to match paths against; "" matches none.
func (f *Files) excludes(sel Selection) []string {
	var patterns []string
	for _, text := range sel.Exclude {
		pattern := path.Clean(text)
		if path.IsAbs(pattern) {
			pattern = strings.TrimPrefix(pattern, strings.TrimSuffix(path.Clean(sel.ProjectDir), "/")+"/")
		}
		switch {
		case text == "":
			pattern = ""
		case !doublestar.ValidatePattern(pattern):
			f.Warnings = append(f.Warnings, "exclude "+strconv.Quote(text)+": it is not a valid pattern")
			pattern = ""
		}
		f.Exclude = append(f.Exclude, tree.Match{Pattern: text})
		patterns = append(patterns, pattern)
	}
	return patterns
}

func (f *Files) excluded(patterns []string, name string) bool {
	for i, p := range patterns {
		if p != "" && doublestar.MatchUnvalidated(p, name) {
			f.Exclude[i].Count++
			return true
		}
	}
	return false
}
