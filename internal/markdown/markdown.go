package markdown

import (
	"fmt"
	"regexp"
	"strings"
	"unicode"
)

// A Block is a fenced code block.
type Block struct {
	Line     int    // of the opening fence, from 1
	Language string // "toml"; "" for none
	Label    string // of the comment in front of it: <!-- label -->
	Text     string // with a line feed at its end
}

var (
	fence   = regexp.MustCompile("^\\s*(```+|~~~+)\\s*([A-Za-z0-9_+-]*)")
	comment = regexp.MustCompile(`^<!-- (.*) -->$`)
)

// Blocks returns the code blocks of a document.
func Blocks(text string) []Block {
	var blocks []Block
	label, end := "", ""
	for i, line := range strings.Split(text, "\n") {
		m := fence.FindStringSubmatch(line)
		switch {
		case end != "" && strings.TrimSpace(line) == end:
			end = ""
		case end != "":
			blocks[len(blocks)-1].Text += line + "\n"
		case m != nil:
			blocks = append(blocks, Block{Line: i + 1, Language: m[2], Label: label})
			label, end = "", m[1]
		case comment.MatchString(line):
			label = comment.FindStringSubmatch(line)[1]
		case strings.TrimSpace(line) != "":
			label = ""
		}
	}
	return blocks
}

// Prose returns the lines of a document without those of its code blocks, which
// are empty instead.
func Prose(text string) []string {
	lines := strings.Split(text, "\n")
	end := ""
	for i, line := range lines {
		m := fence.FindStringSubmatch(line)
		switch {
		case end != "":
			if strings.TrimSpace(line) == end {
				end = ""
			}
			lines[i] = ""
		case m != nil:
			lines[i], end = "", m[1]
		}
	}
	return lines
}

// A Link is a link or image that leads to another place in the project.
type Link struct {
	Line   int
	Target string // as written: "policy.md#facts"
}

var (
	link  = regexp.MustCompile(`\]\(([^()\s]+)\)`)
	spans = regexp.MustCompile("`[^`]*`")
	outer = regexp.MustCompile(`^[a-z]+:`)
)

// Links returns the links of a document that have no scheme.
func Links(text string) []Link {
	var links []Link
	for i, line := range Prose(text) {
		for _, m := range link.FindAllStringSubmatch(withoutCode(line), -1) {
			if !outer.MatchString(m[1]) {
				links = append(links, Link{Line: i + 1, Target: m[1]})
			}
		}
	}
	return links
}

// withoutCode empties code spans; a link's text may be one.
func withoutCode(line string) string { return spans.ReplaceAllString(line, "``") }

var heading = regexp.MustCompile(`^#{1,6} +(.*?) *#*$`)

// Anchors returns the anchors of a document's headings, as GitHub and GitLab
// make them.
func Anchors(text string) map[string]bool {
	anchors := map[string]bool{}
	for _, line := range Prose(text) {
		m := heading.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		anchor := Anchor(m[1])
		for i, base := 1, anchor; anchors[anchor]; i++ {
			anchor = fmt.Sprintf("%s-%d", base, i)
		}
		anchors[anchor] = true
	}
	return anchors
}

// Anchor returns the anchor of a heading that is the first one of its text.
func Anchor(heading string) string {
	heading = regexp.MustCompile(`\[([^\]]*)\]\([^)]*\)`).ReplaceAllString(heading, "$1")
	return strings.Map(func(r rune) rune {
		switch {
		case r == ' ':
			return '-'
		case unicode.IsLetter(r), unicode.IsDigit(r), r == '-', r == '_':
			return unicode.ToLower(r)
		}
		return -1
	}, heading)
}

// Replace returns the document with text between the lines
//
//	<!-- generated: name -->
//	<!-- end -->
//
// in the place of what stands there.
func Replace(document, name, text string) (string, error) {
	begin, end := "<!-- generated: "+name+" -->\n", "<!-- end -->\n"
	before, rest, ok := strings.Cut(document, begin)
	_, after, closed := strings.Cut(rest, end)
	if !ok || !closed {
		return "", fmt.Errorf("no lines %q and %q", strings.TrimSpace(begin), strings.TrimSpace(end))
	}
	return before + begin + "\n" + strings.Trim(text, "\n") + "\n\n" + end + after, nil
}
