package policy

import (
	"fmt"
	"slices"
	"strconv"
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

// A condition is one key of a rule.
type condition struct {
	key   string
	wants string                // as it stands in the config
	reads []string              // facts that an expression goes by
	fits  func(*subject) truth  // whether a job fits
	shows func(*subject) string // the fact, for people
}

func (c condition) uses(fact string) bool { return c.key == fact || slices.Contains(c.reads, fact) }

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

func newConditions(p *problems, key string, r Rule) []condition {
	var list []condition
	add := func(c condition, given bool) {
		if given {
			list = append(list, c)
		}
	}
	text := func(name string, texts []string, form func(string) string, of func(*subject) Text) {
		g := newGlobs(p, key+"."+name, texts, form)
		add(condition{
			key: name, wants: g.String(),
			fits:  func(s *subject) truth { return of(s).fits(g.match) },
			shows: func(s *subject) string { return singular(name) + " = " + of(s).String() },
		}, len(texts) > 0)
	}
	flag := func(name string, want job.Tristate, of func(*subject) Flag) {
		add(condition{
			key: name, wants: strconv.FormatBool(want == job.True),
			fits:  func(s *subject) truth { return of(s).is(want == job.True) },
			shows: func(s *subject) string { return singular(name) + " = " + of(s).String() },
		}, want != job.Unset)
	}
	text("projects", r.Projects, anyCase, func(s *subject) Text { return Certain(s.Project) })
	text("refs", r.Refs, refForm, func(s *subject) Text { return Certain(s.Ref) })
	flag("protected", r.Protected, func(s *subject) Flag { return s.Protected })
	text("sources", r.Sources, asIs, func(s *subject) Text { return s.Source })
	flag("forks", r.Forks, func(s *subject) Flag { return s.Fork })
	text("users", r.Users, anyCase, func(s *subject) Text { return s.User })
	add(userIDs(r.UserIDs), len(r.UserIDs) > 0)
	text("jobs", r.Jobs, oneWord, func(s *subject) Text { return Certain(s.Job) })
	text("environments", r.Environments, oneWord, func(s *subject) Text { return s.Environment })
	flag("environment_protected", r.EnvironmentProtected, func(s *subject) Flag { return s.EnvironmentProtected })
	add(jobTags(p, key+".tags", r.Tags), len(r.Tags) > 0)
	add(ownImages(p, key+".images", r), len(r.Images) > 0)
	if r.Expression != "" {
		list = append(list, newExpression(p, key+".expression", r.Expression))
	}
	return list
}

// singular is how a fact is called that a list of patterns is for.
func singular(name string) string { return strings.TrimSuffix(name, "s") }

func userIDs(ids []int64) condition {
	return condition{
		key: "user_ids", wants: strings.Trim(strings.ReplaceAll(fmt.Sprint(ids), " ", " or "), "[]"),
		fits: func(s *subject) truth {
			if s.UserID == 0 {
				return unknown
			}
			return truthOf(slices.Contains(ids, s.UserID))
		},
		shows: func(s *subject) string { return "user_id = " + strconv.FormatInt(s.UserID, 10) },
	}
}

func jobTags(p *problems, key string, texts []string) condition {
	g := newGlobs(p, key, texts, oneWord)
	return condition{
		key: "tags", wants: g.String(),
		fits: func(s *subject) truth {
			if !s.TagsKnown {
				return unknown
			}
			return truthOf(slices.ContainsFunc(s.Tags, g.match))
		},
		shows: func(s *subject) string {
			if !s.TagsKnown {
				return "tags = unknown (only GitLab can tell)"
			}
			return fmt.Sprintf("tags = %q", s.Tags)
		},
	}
}

// ownImages is for all of the job's images where the rule lets a job run, and
// for any of them where it does not.
func ownImages(p *problems, key string, r Rule) condition {
	l := newList(p, key, r.Images)
	fits := func(s *subject) truth {
		least := yes
		for i := range s.images {
			least = min(least, s.images[i].truth(l.allows, s.pending, no))
		}
		return least
	}
	if r.Action == Deny {
		fits = func(s *subject) truth {
			worst := no
			for i := range s.images {
				worst = max(worst, s.images[i].truth(l.denies, s.pending, yes))
			}
			return worst
		}
	}
	return condition{
		key: "images", wants: strings.Join(r.Images, " or "), fits: fits,
		shows: func(s *subject) string {
			var names []string
			for _, im := range s.images {
				names = append(names, im.String())
			}
			return "images = " + strings.Join(names, ", ")
		},
	}
}
