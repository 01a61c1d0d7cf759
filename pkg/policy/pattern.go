package policy

import (
	"errors"
	"net/netip"
	"strings"

	"github.com/bmatcuk/doublestar/v4"
)

// A pattern is one glob of an image list, cut where an image is cut, so that a
// wildcard in one part never reaches into another: "*" is one path element or
// less, "**" any number of elements.
type pattern struct {
	repository string
	identity   string // of repository
	tag        string // glob
	named      bool   // the pattern has a tag of its own
	digest     string // glob; "" means that the pattern names none
}

func newPattern(text string) (pattern, error) {
	if text == "" {
		return pattern{}, errors.New("empty; name an image, or remove the entry")
	}
	for i := range len(text) {
		if text[i] <= ' ' || text[i] >= 0x7f {
			return pattern{}, errors.New("holds a character that no image's name has; write a host of other letters as xn--…")
		}
	}
	var p pattern
	rest, digest, hasDigest := strings.Cut(text, "@")
	if p.digest = digest; hasDigest && digest == "" {
		return pattern{}, errors.New("nothing behind the @; write a digest, or take the @ out")
	}
	if colon := strings.LastIndex(rest, ":"); colon > strings.LastIndex(rest, "/") {
		rest, p.tag, p.named = rest[:colon], rest[colon+1:], true
	} else if !hasDigest {
		p.tag = "latest"
		if strings.HasSuffix(rest, "*") {
			p.tag = "*" // GitLab Runner's meaning of a pattern such as "ci/*"
		}
	}
	p.repository = withRegistry(rest)
	if _, path, _ := strings.Cut(p.repository, "/"); path != strings.ToLower(path) {
		return pattern{}, errors.New("an image's path has lower-case letters only, so this fits none; write it in lower case")
	}
	p.repository, p.identity = literalAddress(p.repository), literalAddress(identity(p.repository))
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
	host = lowerHost(host)
	switch {
	case strings.Contains(host, "**"):
		return repository // any registry
	case !hasSlash:
		return "docker.io/library/" + repository
	case host == "index.docker.io", host == "docker.io":
		if !strings.Contains(rest, "/") && !strings.Contains(rest, "**") {
			rest = "library/" + rest
		}
		return "docker.io/" + rest
	case isHost(host):
		return host + "/" + rest
	}
	return "docker.io/" + repository
}

// literalAddress keeps the brackets of an IPv6 address from being a class of
// characters.
func literalAddress(repository string) string {
	inner, ok := strings.CutPrefix(repository, "[")
	if !ok {
		return repository
	}
	address, rest, _ := strings.Cut(inner, "]")
	if _, err := netip.ParseAddr(address); err != nil {
		return repository
	}
	return `\[` + address + `\]` + rest
}

// allows reports whether a list of what is allowed means im by p. An image with
// a digest is one of its own: only a pattern for all tags allows it, or one with
// a digest. pending says that its digest will be looked up.
func (p pattern) allows(im image, pending bool) truth {
	if !doublestar.MatchUnvalidated(p.repository, im.repository) {
		return no
	}
	switch {
	case p.digest != "":
		return p.matchDigest(im, pending)
	case im.digest != "":
		return truthOf(p.tag == "*")
	}
	return truthOf(doublestar.MatchUnvalidated(p.tag, im.tag))
}

// denies reports whether a list of what is denied means im by p. A pattern
// without a tag means all of them, and a digest may be that of any tag.
func (p pattern) denies(im image, pending bool) truth {
	if !doublestar.MatchUnvalidated(p.repository, im.repository) && !doublestar.MatchUnvalidated(p.identity, im.identity) {
		return no
	}
	switch {
	case p.digest != "":
		return p.matchDigest(im, pending)
	case !p.named || im.digest != "":
		return yes
	}
	return truthOf(doublestar.MatchUnvalidated(p.tag, im.tag))
}

func (p pattern) matchDigest(im image, pending bool) truth {
	if im.runs() == "" {
		if pending {
			return unknown
		}
		return no
	}
	return truthOf(doublestar.MatchUnvalidated(p.digest, im.runs()))
}

// maxAlternatives bounds what the braces of one pattern come to.
const maxAlternatives = 1000

// braces expands {a,b} in text, also nested, so that an alternative may hold
// colons and slashes, and no match has to try their combinations. Braces behind
// a backslash, and such that do not pair, stay as they are. It returns nil when
// there are too many alternatives.
func braces(text string) []string {
	pending, done := []string{text}, []string(nil)
	for len(pending) > 0 {
		text, pending = pending[len(pending)-1], pending[:len(pending)-1]
		before, alternatives, after, ok := firstBraces(text)
		if !ok {
			done = append(done, text)
		}
		for _, a := range alternatives {
			pending = append(pending, before+a+after)
		}
		if len(pending)+len(done) > maxAlternatives {
			return nil
		}
	}
	return done
}

// firstBraces cuts text at its first pair of braces.
func firstBraces(text string) (before string, alternatives []string, after string, ok bool) {
	open, depth, start := -1, 0, 0
	for i := 0; i < len(text); i++ {
		if open < 0 && text[i] == '{' {
			open, start = i, i+1
		}
		switch text[i] {
		case '\\':
			i++ // what follows is nothing special
		case '{':
			depth++
		case ',':
			if depth == 1 {
				alternatives = append(alternatives, text[start:i])
				start = i + 1
			}
		case '}':
			if depth = max(depth-1, 0); depth == 0 && open >= 0 {
				return text[:open], append(alternatives, text[start:i]), text[i+1:], true
			}
		}
	}
	return "", nil, "", false
}
