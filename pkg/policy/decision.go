package policy

import (
	"fmt"
	"strings"

	"github.com/runnerd/runnerd/pkg/job"
)

// An Action is what a rule does with the jobs that it fits.
type Action string

// The actions.
const (
	Allow Action = "allow"
	Deny  Action = "deny"
	Shape Action = "shape" // allow, in a pod that differs
)

// The rules that the config does not name itself, by the key that makes them.
const (
	RuleImages         = "allowed_images"
	RuleServices       = "allowed_services"
	RuleDeniedImages   = "denied_images"
	RuleDeniedServices = "denied_services"
	RuleUsers          = "allowed_users"
	RuleGroups         = "allowed_groups"
	RuleProtected      = "protected_refs_only"
	RuleSignatures     = "signatures"
	RulePins           = "pin_images"
	RuleDefault        = "default"
)

// A Decision is what the rules say of a job.
type Decision struct {
	Action  Action
	Audit   bool     // Deny is only to be reported: the job runs
	Rule    string   // the rule that decides: its name, or the key that makes it
	Key     string   // where that stands in the runner's table: "policy.rules[2]"
	Fact    string   // what of the job the rule goes by
	Allowed []string // what would be allowed
	Reason  string   // why the job is denied, in one clause
	Contact string   // whom to ask

	Placement job.Placement // of Shape
}

// Denied reports whether the job must not run.
func (d Decision) Denied() bool { return d.Action == Deny && !d.Audit }

// WouldBeDenied reports whether the job runs only because denials are but
// reported.
func (d Decision) WouldBeDenied() bool { return d.Action == Deny && d.Audit }

// Outcome says in one word what comes of the decision: allowed, shaped, denied
// or would_be_denied.
func (d Decision) Outcome() string {
	switch {
	case d.Denied():
		return "denied"
	case d.WouldBeDenied():
		return "would_be_denied"
	case d.Action == Shape:
		return "shaped"
	}
	return "allowed"
}

// Summary says in one line why the job is denied.
func (d Decision) Summary() string { return fmt.Sprintf("denied by %s: %s", d.Rule, d.Reason) }

// Lines explain a denial to the job's author.
func (d Decision) Lines() []string {
	first := "The policy of this runner denies the job: " + d.Reason + "."
	if d.Audit {
		first = "The policy of this runner would deny the job, but only reports it (mode = \"audit\"): " + d.Reason + "."
	}
	lines := []string{
		first,
		"  rule:    " + d.Rule,
		"  fact:    " + d.Fact,
		"  allowed: " + strings.Join(d.Allowed, ", "),
	}
	if d.Contact != "" {
		lines = append(lines, "  contact: "+d.Contact)
	}
	return lines
}

// A denial is what a rule of one key has against a job.
type denial struct {
	rule, key, fact, reason string
	allowed                 []string
}
