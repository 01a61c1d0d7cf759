package policy

import (
	"slices"
	"strings"

	"github.com/runnerd/runnerd/pkg/job"
)

// A Rule decides about the jobs that fit all of its conditions. A condition that
// is left out fits every job.
type Rule struct {
	Name   string
	Action Action
	Reason string // for a denied job's author

	Projects, Refs, Sources, Users, Jobs, Environments, Tags, Images []string // globs; one has to fit
	UserIDs                                                          []int64
	Protected, Forks, EnvironmentProtected                           job.Tristate
	Expression                                                       string // CEL

	Placement job.Placement // of Shape
}

// A rule is a checked Rule.
type rule struct {
	Rule
	key        string
	conditions []condition
	byDigest   bool // what it fits may depend on an image's digest
}

// fits reports whether a job fits all conditions.
func (r *rule) fits(s *subject) truth {
	least := yes
	for _, c := range r.conditions {
		if least = min(least, c.fits(s)); least == no {
			return no
		}
	}
	return least
}

// decides reports whether the rule is the one that decides: what is not certain
// never lets a job through.
func (r *rule) decides(t truth) bool { return t == yes || t == unknown && r.Action == Deny }

// facts says by which facts the rule has decided.
func (r *rule) facts(s *subject) string {
	var out []string
	for _, c := range r.conditions {
		out = append(out, c.shows(s))
	}
	if len(out) == 0 {
		return "any job"
	}
	return strings.Join(out, ", ")
}

// wants says which jobs the rule fits.
func (r *rule) wants() string {
	var out []string
	for _, c := range r.conditions {
		out = append(out, c.key+" = "+c.wants)
	}
	if len(out) == 0 {
		return "any job"
	}
	return strings.Join(out, " and ")
}

func newRules(p *problems, c Config) []rule {
	var rules []rule
	names := map[string]bool{}
	for i, r := range c.Rules {
		key := element("policy.rules", i)
		one := rule{Rule: r, key: key, conditions: newConditions(p, key, r)}
		if len(r.Images) > 0 {
			one.byDigest = newList(&problems{}, "", r.Images).byDigest
		}
		checkRule(p, c, one)
		switch {
		case r.Name == "":
			p.add(key+".name", "missing; name the rule: logs, metrics and denied jobs show it")
		case names[r.Name]:
			p.add(key+".name", "%q is the name of a rule above; choose another one", r.Name)
		}
		names[r.Name] = true
		if len(one.conditions) == 0 && i+1 < len(c.Rules) {
			p.add(key, "fits every job, so the rules behind it never decide; give it a condition, or move it to the end")
		}
		rules = append(rules, one)
	}
	return rules
}

// checkRule reports what makes no sense, and what would look like a boundary
// and be none.
func checkRule(p *problems, c Config, r rule) {
	switch {
	case r.Action != Allow && r.Action != Deny && r.Action != Shape:
		p.add(r.key+".action", "%q; write allow, deny or shape", string(r.Action))
	case r.Action == Shape && !placed(r.Placement):
		p.add(r.key, "shapes nothing; write namespace, service_account, node_selector, node_tolerations, resource_class, network_tier or cache_tier, or action = \"allow\"")
	case r.Action != Shape && placed(r.Placement):
		p.add(r.key+".action", "%q; what the pod should be like belongs to action = \"shape\"", string(r.Action))
	case r.Action != Deny && r.Reason != "":
		p.add(r.key+".reason", "is for a denied job's author; take it out, or write action = \"deny\"")
	}
	if class := r.Placement.ResourceClass; class != "" && !slices.Contains(c.Classes, class) {
		p.add(r.key+".resource_class", "there is no class %q; write [runners.kubernetes.resource_classes.%s]", class, class)
	}
	if tier := r.Placement.NetworkTier; tier != "" && c.Tiers != nil && !slices.Contains(c.Tiers, tier) {
		p.add(r.key+".network_tier", "there is no tier %q; write [[runners.policy.network.tiers]] with name = %q", tier, tier)
	}
	if r.byDigest && r.Action == Deny && !c.Pins {
		p.add(r.key+".images", "a tag may stand for a denied digest unnoticed; set pin_images = true, or deny the repository")
	}
	checkCertainty(p, c, r)
}

// checkCertainty refuses rules by facts that nobody can vouch for.
func checkCertainty(p *problems, c Config, r rule) {
	if c.AsksGitLab {
		return
	}
	const remedy = "add [runners.policy.gitlab] with a read token, so that GitLab is asked"
	for _, cond := range r.conditions {
		at := r.key + "." + cond.key
		switch {
		case cond.uses("tags"), cond.uses("environment_protected"):
			p.add(at, "a job's payload does not say it; "+remedy)
		case cond.uses("environments") && r.Action != Deny, cond.uses("environment"):
			p.add(at, "a job's author can set CI_ENVIRONMENT_NAME; "+remedy)
		}
	}
}
