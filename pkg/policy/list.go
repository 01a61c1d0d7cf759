package policy

import "strings"

// A list is a list of images, by patterns.
type list struct {
	texts    []string
	patterns []pattern
	byDigest bool // a pattern has a digest
}

func newList(p *problems, key string, texts []string) list {
	l := list{texts: texts}
	for i, text := range texts {
		alternatives := braces(text)
		if alternatives == nil {
			p.add(element(key, i), "pattern %q: more than %d alternatives; write fewer in its braces", text, maxAlternatives)
		}
		for _, alternative := range alternatives {
			one, err := newPattern(alternative)
			if err != nil {
				p.add(element(key, i), "pattern %q: %v", text, err)
				break
			}
			l.patterns = append(l.patterns, one)
			l.byDigest = l.byDigest || one.digest != ""
		}
	}
	return l
}

// allows reports whether some pattern allows im.
func (l list) allows(im image, pending bool) truth {
	best := no
	for _, p := range l.patterns {
		best = max(best, p.allows(im, pending))
	}
	return best
}

// denies reports whether some pattern denies im.
func (l list) denies(im image, pending bool) truth {
	worst := no
	for _, p := range l.patterns {
		worst = max(worst, p.denies(im, pending))
	}
	return worst
}

func (l list) String() string { return strings.Join(l.texts, ", ") }
