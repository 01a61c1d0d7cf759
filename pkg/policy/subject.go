package policy

import (
	"strconv"
	"strings"
	"unicode"
)

// A subject is the job that is being decided about.
type subject struct {
	Facts
	images  []named        // the job's image, when it has one, and its services
	pending bool           // digests will be looked up
	vars    map[string]any // of expressions; made when first needed
	unsure  []string       // those of vars that are not known
}

// named is one image of a job.
type named struct {
	Image
	parsed image
	err    error // of parsing
}

func newSubject(f Facts, pending bool) *subject {
	s := &subject{Facts: f, pending: pending}
	for _, im := range f.Images() {
		s.images = append(s.images, newNamed(im))
	}
	return s
}

func newNamed(i Image) named {
	n := named{Image: i}
	n.parsed, n.err = parseImage(i.Name)
	n.parsed.resolved = i.Digest
	return n
}

func (n named) isService() bool { return n.Service != Build }

func (n named) kind() string {
	if n.isService() {
		return "service"
	}
	return "image"
}

// truth asks a list; invalid is the answer for what is no image's name.
func (n named) truth(ask func(image, bool) truth, pending bool, invalid truth) truth {
	if n.err != nil {
		return invalid
	}
	return ask(n.parsed, pending)
}

// String returns the name as the job has it and, where that is something else,
// what it means.
func (n named) String() string {
	if n.err != nil {
		return printable(n.Name)
	}
	if n.parsed.String() == n.Name && n.Digest == "" {
		return n.Name
	}
	full := n.parsed.String()
	if n.Digest != "" {
		full += ", which is " + n.Digest
	}
	return n.Name + " (in full: " + full + ")"
}

// printable returns text as it is, or in quotes when it would do something to a
// terminal or begin a line of its own.
func printable(text string) string {
	if strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return strconv.Quote(text)
	}
	return text
}
