package policy

import (
	"fmt"
	"reflect"
	"strings"

	"github.com/runnerd/runnerd/pkg/job"
)

// Decide returns what the rules say of a job: first what they say of its ref and
// of each image, then the first rule that fits, then the default.
func (r *Rules) Decide(f Facts) Decision {
	s := newSubject(f, false)
	d, _ := r.decide(s)
	return r.confined(d, s)
}

// confined gives a job that is denied in a report only the pod that it would
// have got: it must not run less confined than one that is allowed.
func (r *Rules) confined(d Decision, s *subject) Decision {
	if !d.WouldBeDenied() {
		return d
	}
	for i := range r.rules {
		if rule := &r.rules[i]; rule.Action != Deny && rule.fits(s) == yes {
			d.Placement = rule.Placement
			break
		}
	}
	return d
}

// Screen decides before the digests of images are looked up, so that no registry
// is asked for an image that is denied whatever its digest is. What depends on a
// digest is allowed.
func (r *Rules) Screen(f Facts) Decision {
	s := newSubject(f, true)
	d, open := r.decide(s)
	if open {
		return Decision{Action: Allow, Rule: RulePins, Key: "policy." + RulePins, Fact: "the digest decides, which is not known yet"}
	}
	return r.confined(d, s)
}

// decide returns open when another answer is possible once digests are known.
func (r *Rules) decide(s *subject) (d Decision, open bool) {
	if x, denied := r.denyRef(s); denied {
		return r.denied(x), false
	}
	if len(s.images) > maxList {
		return r.denied(tooMany(s)), false
	}
	for _, im := range s.images {
		x, t := r.denyImage(im, s.pending)
		if t == yes {
			return r.denied(x), false
		}
		open = open || t == unknown
	}
	var doubtful *rule // the first that may let the job through, or may not
	for i := range r.rules {
		rule := &r.rules[i]
		t := rule.fits(s)
		if t == unknown && s.pending && rule.byDigest {
			return Decision{}, true
		}
		if rule.decides(t) {
			return settled(r.despite(doubtful, r.byRule(rule, t, s), s), open)
		}
		if t == unknown && doubtful == nil {
			doubtful = rule
		}
	}
	return settled(r.despite(doubtful, r.byDefault(s), s), open)
}

// despite denies a job that d lets through otherwise than a rule before would,
// of which it is not certain whether it fits: a job that can make a fact
// uncertain must not be able to choose between the two.
func (r *Rules) despite(doubtful *rule, d Decision, s *subject) Decision {
	if doubtful == nil || d.Action == Deny || d.Action == doubtful.Action && reflect.DeepEqual(d.Placement, doubtful.Placement) {
		return d
	}
	return r.denied(denial{
		rule: doubtful.Name, key: doubtful.key, fact: doubtful.facts(s),
		reason:  fmt.Sprintf("it is not certain whether rule %q fits, and without it the job would run otherwise", doubtful.Name),
		allowed: []string{"jobs of which it is certain"},
	})
}

func tooMany(s *subject) denial {
	return denial{
		rule: "services", key: "policy", fact: fmt.Sprintf("images = %d", len(s.images)), allowed: []string{fmt.Sprintf("%d images", maxList)},
		reason: fmt.Sprintf("the job has %d images and services, more than %d", len(s.images), maxList),
	}
}

// settled takes the decision of a rule or of the default, behind images that are
// open: one that denies stands whatever their digests are.
func settled(d Decision, open bool) (Decision, bool) { return d, open && d.Action != Deny }

func (r *Rules) denyRef(s *subject) (denial, bool) {
	if !r.config.ProtectedOnly || s.Protected.Value == job.True {
		return denial{}, false
	}
	kind, name := s.RefName()
	known := "false"
	reason := fmt.Sprintf("ref %q is not protected, and this runner takes jobs of protected refs only", name)
	if s.Protected.Value == job.Unset {
		known = "unknown"
		reason = fmt.Sprintf("it is not certain whether ref %q is protected (%s), and this runner takes jobs of protected refs only", name, s.Protected.Doubt)
	}
	return denial{
		rule: RuleProtected, key: "policy." + RuleProtected,
		fact:    fmt.Sprintf("protected = %s, ref = %s (%s)", known, name, kind),
		allowed: []string{"protected branches and tags"}, reason: reason,
	}, true
}

func (r *Rules) byRule(rule *rule, t truth, s *subject) Decision {
	if rule.Action != Deny {
		return Decision{Action: rule.Action, Rule: rule.Name, Key: rule.key, Fact: rule.facts(s), Placement: rule.Placement}
	}
	reason := rule.Reason
	if reason == "" {
		reason = fmt.Sprintf("rule %q denies it", rule.Name)
	}
	if t == unknown {
		reason += " (a fact is not certain, which counts against the job)"
	}
	return r.denied(denial{
		rule: rule.Name, key: rule.key, fact: rule.facts(s), reason: reason,
		allowed: []string{"jobs without " + rule.wants()},
	})
}

func (r *Rules) byDefault(s *subject) Decision {
	if !r.config.DefaultDeny {
		return Decision{Action: Allow, Rule: RuleDefault, Key: "policy." + RuleDefault, Fact: "any job"}
	}
	x := denial{
		rule: RuleDefault, key: "policy." + RuleDefault, fact: s.summary(),
		reason: "no rule allows it, and this runner denies what no rule allows",
	}
	for i := range r.rules {
		if rule := &r.rules[i]; rule.Action != Deny {
			x.allowed = append(x.allowed, fmt.Sprintf("%q: %s", rule.Name, rule.wants()))
		}
	}
	if x.allowed == nil {
		x.allowed = []string{"nothing"}
	}
	return r.denied(x)
}

func (r *Rules) denied(x denial) Decision {
	return Decision{
		Action: Deny, Audit: r.config.Audit, Rule: x.rule, Key: x.key, Fact: x.fact, Allowed: x.allowed,
		Reason: x.reason, Contact: r.config.Contact,
	}
}

// summary names the facts that rules usually go by.
func (s *subject) summary() string {
	out := []string{
		"project = " + s.Project, "ref = " + s.Ref, "protected = " + s.Protected.String(),
		"source = " + s.Source.String(), "user = " + s.User.String(), "job = " + printable(s.Job),
	}
	if env := s.Environment.String(); env != `""` {
		out = append(out, "environment = "+env)
	}
	for _, im := range s.images {
		out = append(out, im.kind()+" = "+im.String())
	}
	return strings.Join(out, ", ")
}
