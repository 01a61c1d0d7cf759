// Package policy judges a job before anything is created for it.
//
// It knows which images and services may run, and as whom, and that a runner
// serves protected refs only. It looks at the plan, where every variable
// is expanded, and never at the text that the job's author wrote. It does no
// I/O.
package policy

import (
	"errors"
	"fmt"
	"strings"

	"github.com/runnerd/runnerd/pkg/job"
)

// The rules that can deny a job, by their keys in the config file.
const (
	RuleImages    = "allowed_images"
	RuleServices  = "allowed_services"
	RuleUsers     = "allowed_users"
	RuleGroups    = "allowed_groups"
	RuleProtected = "protected_refs_only"
)

// Config is what the operator sets for one runner entry.
type Config struct {
	AllowedImages   []string // globs; empty allows every image
	AllowedServices []string // globs; empty allows every service
	AllowedUsers    []string // uids that a job may ask for; empty allows all but 0
	AllowedGroups   []string // gids, likewise
	DefaultImage    string   // always allowed as the job's image
	ProtectedOnly   bool     // deny jobs of refs that are not protected
	Contact         string   // whom to ask, printed with a denial
}

// Rules are a checked Config. They are safe for concurrent use.
type Rules struct {
	images       list
	services     list
	users        numbers
	groups       numbers
	defaultImage string
	protected    bool
	contact      string
}

// New checks the patterns of c. The error joins one line for each bad pattern.
func New(c Config) (*Rules, error) {
	images, err := newList(RuleImages, c.AllowedImages)
	services, err2 := newList(RuleServices, c.AllowedServices)
	if err := errors.Join(err, err2); err != nil {
		return nil, err
	}
	return &Rules{
		images: images, services: services,
		users: numbers{RuleUsers, "user", c.AllowedUsers}, groups: numbers{RuleGroups, "group", c.AllowedGroups},
		defaultImage: c.DefaultImage, protected: c.ProtectedOnly, contact: c.Contact,
	}, nil
}

// A Decision is what the rules say of a job. The zero Decision allows it.
type Decision struct {
	Rule    string   // the rule that denies, by its config key; "" means allowed
	Asked   string   // what the job asked for
	Means   string   // what Asked means in full, when that is something else
	Allowed []string // what the rule allows
	Reason  string   // why Asked is not allowed, in one clause
	Contact string   // whom to ask
}

// Denied reports whether the job must not run.
func (d Decision) Denied() bool { return d.Rule != "" }

// Summary says in one line why the job is denied.
func (d Decision) Summary() string {
	return fmt.Sprintf("denied by %s: %s", d.Rule, d.Reason)
}

// Lines explain a denial to the job's author.
func (d Decision) Lines() []string {
	asked := d.Asked
	if d.Means != "" && d.Means != d.Asked {
		asked += " (in full: " + d.Means + ")"
	}
	lines := []string{
		"The policy of this runner denies the job: " + d.Reason + ".",
		"  rule:    " + d.Rule,
		"  asked:   " + asked,
		"  allowed: " + strings.Join(d.Allowed, ", "),
	}
	if d.Contact != "" {
		lines = append(lines, "  contact: "+d.Contact)
	}
	return lines
}

// Decide judges a job by its plan. protected is what the server says of the
// job's ref; when it says nothing, a rule that needs to know denies.
func (r *Rules) Decide(p *job.Plan, protected job.Tristate) Decision {
	d := r.decide(p, protected)
	if d.Denied() {
		d.Contact = r.contact
	}
	return d
}

func (r *Rules) decide(p *job.Plan, protected job.Tristate) Decision {
	if r.protected && protected != job.True {
		return denyRef(p.Ref, protected)
	}
	// Only the local executor runs jobs without an image: nothing to judge then.
	if p.Image.Name != "" && !sameImage(p.Image.Name, r.defaultImage) {
		if d := r.images.decide("image", p.Image.Name); d.Denied() {
			return d
		}
	}
	if d := r.decideUser(p.Image.User); d.Denied() {
		return d
	}
	for _, s := range p.Services {
		if s.Configured {
			continue
		}
		if d := r.services.decide("service", s.Name); d.Denied() {
			return d
		}
		if d := r.decideUser(s.User); d.Denied() {
			return d
		}
	}
	return Decision{}
}

// decideUser judges "uid" or "uid:gid", as executor_opts asks for it.
func (r *Rules) decideUser(user string) Decision {
	uid, gid, hasGroup := strings.Cut(user, ":")
	if d := r.users.decide(uid); d.Denied() || !hasGroup {
		return d
	}
	return r.groups.decide(gid)
}

func denyRef(ref string, protected job.Tristate) Decision {
	reason := fmt.Sprintf("ref %q is not protected, and this runner takes jobs of protected refs only", ref)
	if protected == job.Unset {
		reason = fmt.Sprintf("GitLab does not say whether ref %q is protected, and this runner takes jobs of protected refs only", ref)
	}
	return Decision{Rule: RuleProtected, Asked: ref, Allowed: []string{"protected branches and tags"}, Reason: reason}
}
