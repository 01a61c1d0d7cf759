// Package policy decides which jobs a runner takes, and how their pods differ.
//
// It is given [Facts], of which each says how certain it is, and never looks at
// what a job's author wrote: images come from the plan, where every variable is
// expanded, and of what GitLab sends only as a variable, a value counts as
// certain when no other value of that name is in the payload. What is
// not certain counts against the job: a rule that allows does not fit, a rule
// that denies does.
//
// The package does no I/O and reads no clock; package judge asks GitLab and
// registries for the facts that a payload does not hold.
package policy
