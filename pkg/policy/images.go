package policy

import (
	"fmt"
	"strings"
)

// lists are what the config says of one kind of image: the jobs' own, or those
// of services.
type lists struct {
	allowed, denied         list
	allowedRule, deniedRule string // their keys
}

// denyImage judges one image by the lists; unknown means that its digest decides.
func (r *Rules) denyImage(im named, pending bool) (denial, truth) {
	l := r.images
	if im.isService() {
		l = r.services
	}
	if im.err != nil {
		// Without anything to compare it with, the cluster says what is wrong.
		return l.invalid(im), truthOf(len(l.denied.texts)+len(l.allowed.texts)+len(r.signatures) > 0 || r.config.Pins)
	}
	denied := l.denied.denies(im.parsed, pending)
	if denied == yes {
		return l.isDenied(im), yes
	}
	allowed := yes
	if len(l.allowed.texts) > 0 && (im.isService() || !im.parsed.same(r.defaultImage)) {
		allowed = l.allowed.allows(im.parsed, pending)
	}
	if allowed == no {
		return l.isNotAllowed(im), yes
	}
	if x, denied := r.decideUser(im.User); denied {
		x.key = "kubernetes." + x.rule
		return x, yes
	}
	if denied == unknown || allowed == unknown {
		return denial{}, unknown
	}
	return denial{}, no
}

func (l lists) invalid(im named) denial {
	x := l.isNotAllowed(im)
	x.reason = fmt.Sprintf("%s %q is not a valid image name (%v)", im.kind(), im.Name, im.err)
	return x
}

func (l lists) isNotAllowed(im named) denial {
	return denial{
		rule: l.allowedRule, key: "kubernetes." + l.allowedRule, fact: im.kind() + " = " + im.String(), allowed: l.allowed.texts,
		reason: fmt.Sprintf("%s %q matches none of the %s", im.kind(), im.Name, words(l.allowedRule)),
	}
}

func (l lists) isDenied(im named) denial {
	return denial{
		rule: l.deniedRule, key: "policy." + l.deniedRule, fact: im.kind() + " = " + im.String(),
		allowed: []string{"what does not match " + l.denied.String()},
		reason:  fmt.Sprintf("%s %q matches one of the %s", im.kind(), im.Name, words(l.deniedRule)),
	}
}

func words(rule string) string { return strings.ReplaceAll(rule, "_", " ") }
