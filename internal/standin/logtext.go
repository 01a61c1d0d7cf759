package standin

import (
	"bytes"
	"regexp"
	"strings"
)

// lineHeader is in front of every line of a log with timestamps (10.8).
var lineHeader = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z ([0-9a-f]{2}[OE])([ +])`)

const headerLen = 32

// truncation begins the notice that a runner writes, without headers, when a
// log has reached its limit (10.10).
const truncation = "\n\x1b[33;1m>Job's log exceeded limit of "

// plainText strips the headers and joins continued lines with the line of the
// same stream that they continue.
func plainText(log []byte) string {
	var lines [][]byte
	last := map[string]int{} // stream to its last line
	for raw := range bytes.Lines(log) {
		m := lineHeader.FindSubmatch(raw)
		if m == nil {
			lines = append(lines, bytes.Clone(raw))
			continue
		}
		stream, text := string(m[1]), raw[headerLen:]
		if i, ok := last[stream]; ok && m[2][0] == '+' {
			lines[i] = append(bytes.TrimSuffix(lines[i], []byte("\n")), text...)
			continue
		}
		last[stream] = len(lines)
		lines = append(lines, bytes.Clone(text))
	}
	return string(bytes.Join(lines, nil))
}

// checkLog checks the whole log of a job that has ended (14.28).
func (s *Server) checkLog(c *call, j *Job) {
	text := plainText(j.log)
	for _, secret := range j.facts.masked() {
		if at := strings.Index(text, secret); at >= 0 {
			s.violate(c, "14.28", "the value of a masked variable (%d bytes) is in the log at character %d of its text", len(secret), at)
		}
	}
	if bytes.Contains(j.log, []byte(j.token)) {
		s.violate(c, "14.28", "the job token is in the log")
	}
	if j.runner != nil && bytes.Contains(j.log, []byte(j.runner.token)) {
		s.violate(c, "14.28", "the runner token is in the log")
	}
	if j.spec.AnyLog {
		return
	}
	whole, truncated := j.log, false
	if i := bytes.Index(j.log, []byte(truncation)); i >= 0 {
		i = max(bytes.LastIndexByte(j.log[:i], '\n')+1, 0) // the line before the notice may be cut anywhere
		whole, truncated = j.log[:i], true
	}
	if !s.opts.NoTimestamps && j.facts.timestamps() {
		s.checkHeaders(c, whole)
	}
	if j.facts.features.TraceSections && !truncated {
		s.checkSections(c, text)
	}
}

// checkHeaders checks that every line has a header and ends.
func (s *Server) checkHeaders(c *call, log []byte) {
	n := 0
	for line := range bytes.Lines(log) {
		n++
		if !lineHeader.Match(line) {
			s.violate(c, "14.28", "line %d of the log has no timestamp header: %.60q", n, line)
			return // the next ones are of the same kind
		}
	}
	if len(log) > 0 && log[len(log)-1] != '\n' {
		s.violate(c, "14.28", "the last line of the log does not end")
	}
}

var section = regexp.MustCompile(`section_(start|end):(\d+):([A-Za-z0-9_.-]+)(?:\[[^\]\r\n]*\])?\r\x1b\[0K`)

// checkSections checks that every section that starts also ends, once.
func (s *Server) checkSections(c *call, text string) {
	open := map[string]bool{}
	for _, m := range section.FindAllStringSubmatch(text, -1) {
		name := m[3]
		switch {
		case m[1] == "start" && open[name]:
			s.violate(c, "14.28", "section %q starts twice", name)
		case m[1] == "start":
			open[name] = true
		case !open[name]:
			s.violate(c, "14.28", "section %q ends and has not started", name)
		default:
			delete(open, name)
		}
	}
	for name := range open {
		s.violate(c, "14.28", "section %q does not end", name)
	}
}
