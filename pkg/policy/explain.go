package policy

import "cmp"

// A Step is one thing that a decision goes through, for people.
type Step struct {
	Rule       string      `json:"rule"`
	Key        string      `json:"key"` // where it stands in the runner's table
	Action     Action      `json:"action"`
	Fits       string      `json:"fits"` // yes, no or unknown
	Conditions []Condition `json:"conditions,omitempty"`
	Decides    bool        `json:"decides"`
}

// A Condition is one condition of a rule, and how a job stands to it.
type Condition struct {
	Key   string `json:"key"`
	Wants string `json:"wants"`
	Fact  string `json:"fact"`
	Fits  string `json:"fits"` // yes, no or unknown
}

// Explain returns what Decide goes through, in its order: what the lists say of
// the job, each rule, the default. It goes on behind the step that decides,
// which may be a rule of which it is not certain whether it fits.
func (r *Rules) Explain(f Facts) []Step {
	s := newSubject(f, r.config.Pins && f.Image.Digest == "")
	var steps []Step
	if r.config.ProtectedOnly {
		x, denied := r.denyRef(s)
		fits := truthOf(denied).String()
		steps = append(steps, Step{
			Rule: RuleProtected, Key: "policy." + RuleProtected, Action: Deny, Fits: fits,
			Conditions: []Condition{{Key: "protected", Wants: "not true", Fact: cmp.Or(x.fact, "protected = "+s.Protected.String()), Fits: fits}},
		})
	}
	for _, im := range s.images {
		x, t := r.denyImage(im, s.pending)
		steps = append(steps, Step{
			Rule: cmp.Or(x.rule, "lists of images"), Key: cmp.Or(x.key, "kubernetes"), Action: Deny, Fits: t.String(),
			Conditions: []Condition{{Key: im.kind(), Wants: cmp.Or(x.reason, "denied, or not allowed"), Fact: im.String(), Fits: t.String()}},
		})
	}
	for i := range r.rules {
		steps = append(steps, r.rules[i].step(s))
	}
	action := Allow
	if r.config.DefaultDeny {
		action = Deny
	}
	steps = append(steps, Step{Rule: RuleDefault, Key: "policy." + RuleDefault, Action: action, Fits: yes.String()})
	d, _ := r.decide(s)
	for i := range steps {
		if steps[i].Key == d.Key && steps[i].Fits != no.String() {
			steps[i].Decides = true
			break
		}
	}
	return steps
}

func (r *rule) step(s *subject) Step {
	t := r.fits(s)
	step := Step{Rule: r.Name, Key: r.key, Action: r.Action, Fits: t.String()}
	for _, c := range r.conditions {
		step.Conditions = append(step.Conditions, Condition{Key: c.key, Wants: c.wants, Fact: c.shows(s), Fits: c.fits(s).String()})
	}
	return step
}
