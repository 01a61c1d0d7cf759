package config

import (
	"strings"

	"github.com/BurntSushi/toml"
)

// newIndex indexes text, which the TOML package has found valid. In a text that
// is not valid the index is incomplete, nothing worse.
func newIndex(text string) *index {
	s := scanner{text: text, line: 1, arrays: map[string]int{}, index: &index{keys: map[string]place{}}}
	s.document()
	return s.index
}

// A scanner goes through a TOML text once, from the first byte to the last.
type scanner struct {
	text   string
	pos    int
	line   int            // of pos
	table  string         // path of the table that the last header opened
	arrays map[string]int // how many elements the array of tables at a path has so far
	index  *index
}

func (s *scanner) document() {
	s.index.sections = []section{{line: 1}}
	for s.space(true); s.pos < len(s.text); s.space(true) {
		before := s.pos
		if s.text[s.pos] == '[' {
			s.header()
		} else {
			s.pair(s.table)
		}
		if s.pos == before { // not TOML: do not stay here for ever
			s.advance(1)
		}
	}
	s.closeSection(len(s.text))
}

// header reads [table] or [[array of tables]].
func (s *scanner) header() {
	start, line := strings.LastIndexByte(s.text[:s.pos], '\n')+1, s.line
	s.closeSection(start)
	array := strings.HasPrefix(s.text[s.pos:], "[[")
	s.advance(1)
	if array {
		s.advance(1)
	}
	keys := s.key()
	path := ""
	for i, key := range keys {
		path = joinPath(path, key)
		n := s.arrays[path]
		if array && i == len(keys)-1 {
			n++
			s.arrays[path] = n
			if n == 1 {
				s.mark(path, line)
			}
		}
		if n > 0 {
			path = elementPath(path, n-1)
		}
		s.mark(path, line)
	}
	for s.pos < len(s.text) && s.text[s.pos] != '\n' {
		s.advance(1)
	}
	s.advance(1)
	s.table = path
	s.index.sections = append(s.index.sections, section{path: path, line: line, start: start, body: s.pos})
}

func (s *scanner) closeSection(end int) {
	s.index.sections[len(s.index.sections)-1].end = end
}

// mark notes where path first stands.
func (s *scanner) mark(path string, line int) {
	if _, ok := s.index.keys[path]; !ok {
		s.index.keys[path] = place{line: line}
	}
}

// pair reads key = value in the table at path.
func (s *scanner) pair(path string) {
	line := s.line
	for _, key := range s.key() {
		path = joinPath(path, key)
		s.mark(path, line)
	}
	s.space(false)
	if s.peek() != '=' {
		return
	}
	s.advance(1)
	s.space(false)
	start := s.pos
	s.value(path)
	s.index.keys[path] = place{line: line, start: start, end: s.pos}
}

// key reads a key with its dots, up to the first byte that is none of it.
func (s *scanner) key() []string {
	var parts []string
	for {
		s.space(false)
		start := s.pos
		switch s.peek() {
		case '"', '\'':
			s.str()
			parts = append(parts, unquote(s.text[start:s.pos]))
		default:
			for s.pos < len(s.text) && isBare(s.text[s.pos]) {
				s.advance(1)
			}
			parts = append(parts, s.text[start:s.pos])
		}
		s.space(false)
		if s.peek() != '.' {
			return parts
		}
		s.advance(1)
	}
}

func (s *scanner) value(path string) {
	switch s.peek() {
	case '"', '\'':
		s.str()
	case '[':
		s.list(path)
	case '{':
		s.inlineTable(path)
	default:
		start := s.pos
		for s.pos < len(s.text) && !strings.ContainsRune(",]}#\r\n", rune(s.text[s.pos])) {
			s.advance(1)
		}
		s.pos = start + len(strings.TrimRight(s.text[start:s.pos], " \t"))
	}
}

func (s *scanner) list(path string) {
	s.advance(1)
	for i := 0; ; i++ {
		s.space(true)
		if s.peek() == ']' || s.pos >= len(s.text) {
			s.advance(1)
			return
		}
		element := elementPath(path, i)
		start, line := s.pos, s.line
		s.value(element)
		s.index.keys[element] = place{line: line, start: start, end: s.pos}
		s.space(true)
		if s.peek() == ',' {
			s.advance(1)
		} else if s.pos == start {
			return
		}
	}
}

func (s *scanner) inlineTable(path string) {
	s.advance(1)
	for {
		s.space(true)
		if s.peek() == '}' || s.pos >= len(s.text) {
			s.advance(1)
			return
		}
		start := s.pos
		s.pair(path)
		s.space(true)
		if s.peek() == ',' {
			s.advance(1)
		} else if s.pos == start {
			return
		}
	}
}

// str reads a string of any of TOML's four kinds.
func (s *scanner) str() {
	quote := s.text[s.pos : s.pos+1]
	if triple := strings.Repeat(quote, 3); strings.HasPrefix(s.text[s.pos:], triple) {
		quote = triple
	}
	s.advance(len(quote))
	for s.pos < len(s.text) && !strings.HasPrefix(s.text[s.pos:], quote) {
		if s.text[s.pos] == '\\' && quote[0] == '"' {
			s.advance(1)
		}
		s.advance(1)
	}
	s.advance(len(quote))
	for range len(quote) - 1 { // the text may end in one or two quotes of its own: """a"""""
		if s.peek() == quote[0] {
			s.advance(1)
		}
	}
}

// space skips blanks; with lines also line ends and comments.
func (s *scanner) space(lines bool) {
	for s.pos < len(s.text) {
		switch c := s.text[s.pos]; {
		case c == ' ', c == '\t', c == '\r' && lines, c == '\n' && lines:
			s.advance(1)
		case c == '#' && lines:
			for s.pos < len(s.text) && s.text[s.pos] != '\n' {
				s.advance(1)
			}
		default:
			return
		}
	}
}

// peek returns the next byte, 0 at the end.
func (s *scanner) peek() byte {
	if s.pos >= len(s.text) {
		return 0
	}
	return s.text[s.pos]
}

func (s *scanner) advance(n int) {
	for ; n > 0 && s.pos < len(s.text); n-- {
		if s.text[s.pos] == '\n' {
			s.line++
		}
		s.pos++
	}
}

// unquote returns the text of a quoted key.
func unquote(quoted string) string {
	var v struct{ K string }
	if _, err := toml.Decode("K = "+quoted, &v); err != nil {
		return quoted
	}
	return v.K
}
