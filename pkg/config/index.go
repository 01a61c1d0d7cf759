package config

import (
	"strconv"
	"strings"
)

// An index knows where the keys, values and tables of a TOML text stand. The
// TOML package reads values well but does not say where it found them.
type index struct {
	keys     map[string]place // by path: runners[0].kubernetes.namespace
	sections []section        // in the order of the file; the first one is the text before any header
}

// A place is where a key stands and which bytes its value takes.
type place struct {
	line       int // of the key, from 1
	start, end int // of the value; both 0 for a table that a header opened
}

// A section is a header with the lines up to the next one.
type section struct {
	path  string // "" for the first one
	line  int
	start int // of the header's line
	body  int // behind the header's line
	end   int // the start of the next header's line
}

// Line returns the line on which key ("runners[0].url") stands in the text of a
// config.toml, for problems that only the user of a value can find. A key that
// is not there stands where the nearest table around it does; 0 means nowhere.
func Line(data []byte, key string) int { return newIndex(string(data)).line(key) }

// line returns the line of path. A path that the text does not hold (a missing
// key) stands where the nearest table around it does; 0 means nowhere.
func (x *index) line(path string) int {
	for path != "" {
		if p, ok := x.keys[path]; ok {
			return p.line
		}
		path = parent(path)
	}
	return 0
}

// joinPath returns the path of key in the table at path. Keys that are not bare
// are quoted, as they have to be in the file.
func joinPath(path, key string) string {
	if !bare(key) {
		key = strconv.Quote(key)
	}
	if path == "" {
		return key
	}
	return path + "." + key
}

func elementPath(path string, i int) string { return path + "[" + strconv.Itoa(i) + "]" }

// parent returns path without its last element: a.b → a, a[0] → a, a."b.c" → a.
func parent(path string) string {
	if strings.HasSuffix(path, `"`) {
		for i := len(path) - 2; i >= 0; i-- {
			if path[i] == '"' && (i == 0 || path[i-1] != '\\') {
				return strings.TrimSuffix(path[:i], ".")
			}
		}
		return ""
	}
	return path[:max(0, strings.LastIndexAny(path, ".["))]
}

func bare(key string) bool {
	if key == "" {
		return false
	}
	for i := range len(key) {
		if !isBare(key[i]) {
			return false
		}
	}
	return true
}

func isBare(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '_'
}

func (x *index) has(path string) bool {
	_, ok := x.keys[path]
	return ok
}
