package policy

import (
	"slices"
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
	same    *subject       // the one whose images have their identity for a name; made when first needed
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

func (s *subject) ref() Text {
	if s.OtherRef == "" {
		return Certain(s.Ref)
	}
	return Text{
		Values: []string{s.Ref, s.OtherRef},
		Doubt:  "it may be " + s.Ref + ", or a branch of that name: CI_COMMIT_BRANCH is set, and GIT_DEPTH=0 hides what GitLab would say",
	}
}

func newNamed(i Image) named {
	n := named{Image: i}
	n.parsed, n.err = parseImage(i.Name)
	n.parsed.resolved = i.Digest
	return n
}

// identical returns s with every image under the one name of its identity.
func (s *subject) identical() *subject {
	if s.same != nil {
		return s.same
	}
	s.same = s
	for i, im := range s.images {
		if im.err != nil || im.parsed.identity == im.parsed.repository {
			continue
		}
		if s.same == s {
			s.same = &subject{Facts: s.Facts, images: slices.Clone(s.images), pending: s.pending}
		}
		s.same.images[i].parsed.repository = im.parsed.identity
	}
	return s.same
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
