package lifecycle

import (
	"bytes"
	"regexp"
	"slices"
)

// openSections finds the sections that a log has begun and not ended, as the
// log's bytes pass by. A pod can be cut off between any two of them, and what
// is open then the daemon has to end.
type openSections struct {
	names []string
	rest  []byte // what may be the beginning of a marker
}

var (
	markerWord = []byte("section_")
	marker     = regexp.MustCompile(`section_(start|end):[0-9]+:([A-Za-z0-9_.-]+)(?:\[[^\]\r\n]*\])?\r\x1b\[0K`)
)

// maxMarker bounds what is kept of a marker that does not end.
const maxMarker = 512

func (s *openSections) see(p []byte) {
	if len(s.rest) > 0 {
		p = append(s.rest, p...)
	}
	end := 0
	for _, m := range marker.FindAllSubmatchIndex(p, -1) {
		end = m[1]
		s.mark(string(p[m[2]:m[3]]), string(p[m[4]:m[5]]))
	}
	s.rest = append(s.rest[:0:0], unfinished(p[end:])...)
}

func (s *openSections) mark(kind, name string) {
	if kind == "start" {
		s.names = append(s.names, name)
		return
	}
	if i := slices.Index(s.names, name); i >= 0 {
		s.names = slices.Delete(s.names, i, i+1)
	}
}

// unfinished returns the end of p from where a marker may have begun.
func unfinished(p []byte) []byte {
	if i := bytes.LastIndex(p, markerWord); i >= 0 {
		if tail := p[i:]; len(tail) <= maxMarker && bytes.IndexByte(tail, '\n') < 0 {
			return tail
		}
	}
	for n := min(len(markerWord)-1, len(p)); n > 0; n-- {
		if bytes.HasPrefix(markerWord, p[len(p)-n:]) {
			return p[len(p)-n:]
		}
	}
	return nil
}
