package policy

import (
	"strings"

	"github.com/runnerd/runnerd/pkg/job"
)

// Config is what the operator sets for one runner entry.
type Config struct {
	AllowedImages   []string // globs; empty allows every image
	AllowedServices []string // globs; empty allows every service
	DeniedImages    []string // globs; they beat every list of what is allowed
	DeniedServices  []string // globs, likewise
	AllowedUsers    []string // uids that a job may ask for; empty allows all but 0
	AllowedGroups   []string // gids, likewise
	DefaultImage    string   // allowed as the job's image, whatever AllowedImages says
	ProtectedOnly   bool     // deny jobs of refs that are not protected
	Rules           []Rule
	DefaultDeny     bool // deny the jobs that no rule fits
	Audit           bool // deny nothing, only say what would be denied
	Contact         string

	Pins       bool       // images run by the digest that their tag stands for
	Signatures [][]string // globs of images that must be signed, in demands of their own
	AsksGitLab bool       // facts that a payload cannot vouch for are asked of GitLab
	Tiers      []string   // NetworkTiers that there are; nil: any
	Classes    []string   // ResourceClasses that there are
}

// Rules are a checked Config. They are safe for concurrent use.
type Rules struct {
	images, services lists
	signatures       []list
	users, groups    numbers
	defaultImage     image // zero unless there is one
	rules            []rule
	config           Config
	needs            Needs
}

// New checks c. The error joins a [*Problem] for each thing that is wrong.
func New(c Config) (*Rules, error) {
	var p problems
	r := &Rules{
		config: c,
		images: lists{
			allowed: newList(&p, "kubernetes."+RuleImages, c.AllowedImages), allowedRule: RuleImages,
			denied: newDenied(&p, c, "policy."+RuleDeniedImages, c.DeniedImages), deniedRule: RuleDeniedImages,
		},
		services: lists{
			allowed: newList(&p, "kubernetes."+RuleServices, c.AllowedServices), allowedRule: RuleServices,
			denied: newDenied(&p, c, "policy."+RuleDeniedServices, c.DeniedServices), deniedRule: RuleDeniedServices,
		},
		users:  numbers{RuleUsers, "user", c.AllowedUsers},
		groups: numbers{RuleGroups, "group", c.AllowedGroups},
	}
	if im, err := parseImage(c.DefaultImage); err == nil {
		r.defaultImage = im
	}
	for i, globs := range c.Signatures {
		key := element("policy."+RuleSignatures, i) + ".images"
		if len(globs) == 0 {
			p.add(key, "missing; write which images must be signed, [\"**\"] for all")
		}
		r.signatures = append(r.signatures, newList(&p, key, globs))
	}
	r.rules = newRules(&p, c)
	r.needs = needsOf(c, r.rules)
	if err := p.err(); err != nil {
		return nil, err
	}
	return r, nil
}

// newDenied returns a list of what is denied. A digest in it is worth nothing
// where the daemon does not know what a tag stands for.
func newDenied(p *problems, c Config, key string, texts []string) list {
	l := newList(p, key, texts)
	if l.byDigest && !c.Pins {
		for i, text := range texts {
			if strings.Contains(text, "@") {
				p.add(element(key, i), "pattern %q: a tag may stand for that digest unnoticed; set pin_images = true, or deny the repository", text)
			}
		}
	}
	return l
}

// Promised returns the rule because of which only the digest of an image may run
// that was looked at, or "".
func (r *Rules) Promised(i Image) string {
	switch {
	case len(r.Signed(i)) > 0:
		return RuleSignatures
	case r.config.Pins:
		return RulePins
	}
	return ""
}

// Needs are the facts that a payload does not hold and the rules go by.
type Needs struct {
	Protected            bool // whether the ref is protected, for certain
	Environment          bool // whether the job has the environment that it names
	EnvironmentProtected bool
	Tags                 bool // of the job
	User                 bool // login, for certain
}

// Needs returns what to ask GitLab; nothing unless Config.AsksGitLab.
func (r *Rules) Needs() Needs { return r.needs }

// Pins reports whether images run by digest.
func (r *Rules) Pins() bool { return r.config.Pins }

// Audits reports whether denials are only reported.
func (r *Rules) Audits() bool { return r.config.Audit }

func needsOf(c Config, rules []rule) Needs {
	if !c.AsksGitLab {
		return Needs{}
	}
	n := Needs{Protected: c.ProtectedOnly}
	for _, rule := range rules {
		for _, condition := range rule.conditions {
			n.Protected = n.Protected || condition.uses("protected")
			n.Environment = n.Environment || condition.uses("environments") || condition.uses("environment")
			n.EnvironmentProtected = n.EnvironmentProtected || condition.uses("environment_protected")
			n.Tags = n.Tags || condition.uses("tags")
			n.User = n.User || condition.uses("users") || condition.uses("user")
		}
	}
	return n
}

// placed reports whether p changes anything.
func placed(p job.Placement) bool {
	return p.Namespace+p.ServiceAccount+p.ResourceClass+p.NetworkTier+p.CacheTier != "" || len(p.NodeSelector)+len(p.NodeTolerations) > 0
}
