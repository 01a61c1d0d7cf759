package policy

import (
	"errors"
	"fmt"
	"strings"

	"github.com/bmatcuk/doublestar/v4"
	"github.com/distribution/reference"
)

// A list is an allow-list of images.
type list struct {
	rule     string
	texts    []string
	patterns []pattern
}

func newList(rule string, texts []string) (list, error) {
	l := list{rule: rule, texts: texts}
	var problems []error
	for i, text := range texts {
		for _, alternative := range braces(text) {
			p, err := newPattern(alternative)
			if err != nil {
				problems = append(problems, fmt.Errorf("%s[%d]: pattern %q: %w", rule, i, text, err))
				break
			}
			l.patterns = append(l.patterns, p)
		}
	}
	return l, errors.Join(problems...)
}

func (l list) decide(kind, name string) Decision {
	if len(l.texts) == 0 {
		return Decision{}
	}
	d := Decision{Rule: l.rule, Asked: name, Allowed: l.texts}
	im, err := parseImage(name)
	if err != nil {
		d.Reason = fmt.Sprintf("%s %q is not a valid image name (%v)", kind, name, err)
		return d
	}
	for _, p := range l.patterns {
		if p.matches(im) {
			return Decision{}
		}
	}
	d.Means = im.String()
	d.Reason = fmt.Sprintf("%s %q matches none of the %s", kind, name, strings.ReplaceAll(l.rule, "_", " "))
	return d
}

// An image is a reference in its one canonical form: the way in which a name is
// written (default registry, library/, upper-case host, missing tag) makes no
// difference to the rules.
type image struct {
	repository string // with the registry's host, "docker.io/library/redis"
	tag        string // "latest" when neither tag nor digest is given
	digest     string // when given, it alone decides what runs: tag is then empty
}

func parseImage(name string) (image, error) {
	ref, err := reference.ParseNormalizedNamed(name)
	if err != nil {
		return image{}, err
	}
	im := image{repository: strings.ToLower(reference.Domain(ref)) + "/" + reference.Path(ref)}
	if d, ok := ref.(reference.Digested); ok {
		im.digest = d.Digest().String()
		return im, nil
	}
	im.tag = "latest"
	if t, ok := ref.(reference.Tagged); ok {
		im.tag = t.Tag()
	}
	return im, nil
}

func (im image) String() string {
	if im.digest != "" {
		return im.repository + "@" + im.digest
	}
	return im.repository + ":" + im.tag
}

func sameImage(a, b string) bool {
	ia, errA := parseImage(a)
	ib, errB := parseImage(b)
	return errA == nil && errB == nil && ia == ib
}

// A pattern is one glob of an allow-list, cut where an image is cut, so that a
// wildcard in one part never reaches into another: "*" is one path element or
// less, "**" any number of elements.
type pattern struct {
	repository string
	tag        string // glob; "*" allows digests as well
	digest     string // glob; "" means that the pattern names none
}

func newPattern(text string) (pattern, error) {
	if text == "" {
		return pattern{}, errors.New("empty; name an image, or remove the entry")
	}
	var p pattern
	rest, digest, hasDigest := strings.Cut(text, "@")
	p.digest = digest
	if colon := strings.LastIndex(rest, ":"); colon > strings.LastIndex(rest, "/") {
		rest, p.tag = rest[:colon], rest[colon+1:]
	} else if !hasDigest {
		p.tag = "latest"
		if strings.HasSuffix(rest, "*") {
			p.tag = "*" // GitLab Runner's meaning of a pattern such as "ci/*"
		}
	}
	p.repository = withRegistry(rest)
	for _, part := range []string{p.repository, p.tag, p.digest} {
		if !doublestar.ValidatePattern(part) {
			return pattern{}, errors.New("not a valid glob; use *, **, ?, [a-z] and {a,b}")
		}
	}
	return p, nil
}

// withRegistry gives a pattern the registry that a container runtime would
// assume for an image written like it.
func withRegistry(repository string) string {
	host, rest, hasSlash := strings.Cut(repository, "/")
	switch {
	case strings.Contains(host, "**"):
		return repository // any registry
	case !hasSlash:
		return "docker.io/library/" + repository
	case host == "index.docker.io", host == "docker.io":
		host = "docker.io"
		if !strings.Contains(rest, "/") && !strings.Contains(rest, "**") {
			rest = "library/" + rest
		}
		return host + "/" + rest
	case strings.ContainsAny(host, ".:") || host == "localhost":
		return strings.ToLower(host) + "/" + rest
	}
	return "docker.io/" + repository
}

func (p pattern) matches(im image) bool {
	if !doublestar.MatchUnvalidated(p.repository, im.repository) {
		return false
	}
	switch {
	case p.digest != "":
		return im.digest != "" && doublestar.MatchUnvalidated(p.digest, im.digest)
	case im.digest != "":
		return p.tag == "*"
	}
	return doublestar.MatchUnvalidated(p.tag, im.tag)
}

// braces expands {a,b} in text, also nested, so that an alternative may hold
// colons and slashes. Braces that do not pair stay as they are, for the glob
// check to refuse.
func braces(text string) []string {
	open := strings.Index(text, "{")
	if open < 0 {
		return []string{text}
	}
	depth, start := 0, open+1
	var alternatives []string
	for i := open; i < len(text); i++ {
		switch text[i] {
		case '{':
			depth++
		case ',':
			if depth == 1 {
				alternatives = append(alternatives, text[start:i])
				start = i + 1
			}
		case '}':
			if depth--; depth > 0 {
				continue
			}
			alternatives = append(alternatives, text[start:i])
			var out []string
			for _, a := range alternatives {
				out = append(out, braces(text[:open]+a+text[i+1:])...)
			}
			return out
		}
	}
	return []string{text}
}
