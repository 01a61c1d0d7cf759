package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/runnerd/runnerd/pkg/policy"
)

func policyCheckCommand(a *app) *cobra.Command {
	var f policyCheckFlags
	c := &cobra.Command{
		Use:   "check --job PAYLOAD",
		Short: "Say what the policy would decide about a job",
		Long: `Say what the policy would decide about a job: PAYLOAD is the JSON that GitLab
sends for it ("-" reads it from standard input).

GitLab and the registries are not asked: what only GitLab can tell counts as not
certain, and what depends on an image's digest is allowed.

The exit code is 0 when the job would run, 1 when it would be denied, and 2 when
there is no job to judge.`,
		Args: noArgs,
		RunE: func(*cobra.Command, []string) error { return a.policyCheck(f) },
	}
	c.Flags().StringVarP(&f.job, "job", "j", "", "`file` with the job's payload")
	c.Flags().StringVarP(&f.runner, "runner", "n", "", "the runner with this `name`")
	c.Flags().BoolVar(&f.explain, "explain", false, "show the facts, and each rule with its conditions")
	c.Flags().StringVarP(&f.output, "output", "o", outputText, "text or json")
	return c
}

type policyCheckFlags struct {
	job, runner, output string
	explain             bool
}

// A policyReport is what the check says, for -o json.
type policyReport struct {
	Runner  string        `json:"runner"`
	Outcome string        `json:"outcome"` // allowed, shaped, denied or would_be_denied
	Rule    string        `json:"rule"`
	Key     string        `json:"key"`
	Fact    string        `json:"fact"`
	Reason  string        `json:"reason,omitempty"`
	Allowed []string      `json:"allowed,omitempty"`
	Contact string        `json:"contact,omitempty"`
	Facts   [][2]string   `json:"facts"`
	Steps   []policy.Step `json:"steps"`
}

// errDenied makes the exit code that says so.
var errDenied = errors.New("the job would be denied")

func (a *app) policyCheck(f policyCheckFlags) error {
	switch {
	case f.job == "":
		return usageError{errors.New("--job: name the file with the job's payload")}
	case f.output != outputText && f.output != outputJSON:
		return usageError{fmt.Errorf("--output %q: write text or json", f.output)}
	}
	c, _, err := a.load()
	if err != nil {
		return err
	}
	t, err := newTrial(c, a.configPath, f.runner)
	if err != nil {
		return err
	}
	payload, err := a.readInput(f.job)
	if err != nil {
		return usageError{fmt.Errorf("--job: %w", err)}
	}
	facts, err := t.facts(payload)
	if err != nil {
		return usageError{fmt.Errorf("--job %s: %w", f.job, err)}
	}
	t.doubt(&facts)
	d := t.decide(facts)
	if f.output == outputJSON {
		err = a.json(policyReport{
			Runner: t.runner.Name, Outcome: d.Outcome(), Rule: d.Rule, Key: d.Key, Fact: d.Fact, Reason: d.Reason,
			Allowed: d.Allowed, Contact: d.Contact, Facts: factTable(facts), Steps: t.rules.Explain(facts),
		})
	} else {
		a.printDecision(t, facts, d, f.explain)
	}
	if err == nil && d.Denied() {
		return errDenied
	}
	return err
}

// doubt takes back what GitLab would be asked for: here nobody asks.
func (t trial) doubt(f *policy.Facts) {
	if needs := t.rules.Needs(); needs.Protected {
		f.Protected = policy.Doubtful("GitLab would be asked; the payload says " + f.Protected.String())
	}
}

// maxPayload is far above any job's payload.
const maxPayload = 64 << 20

func (a *app) readInput(path string) ([]byte, error) {
	from := a.stdin
	if path != "-" {
		file, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		defer file.Close()
		from = file
	}
	data, err := io.ReadAll(io.LimitReader(from, maxPayload+1))
	if err == nil && len(data) > maxPayload {
		err = fmt.Errorf("%s is longer than %d bytes, and so no job's payload", path, maxPayload)
	}
	return data, err
}

func (a *app) printDecision(t trial, f policy.Facts, d policy.Decision, explain bool) {
	fmt.Fprintf(a.stdout, "%s by %s (%s)\n", d.Outcome(), d.Rule, d.Key)
	fmt.Fprintf(a.stdout, "  fact:    %s\n", d.Fact)
	if d.Action == policy.Deny {
		fmt.Fprintf(a.stdout, "  reason:  %s\n  allowed: %s\n", d.Reason, strings.Join(d.Allowed, ", "))
	}
	if d.Contact != "" {
		fmt.Fprintf(a.stdout, "  contact: %s\n", d.Contact)
	}
	if d.Action == policy.Shape {
		fmt.Fprintf(a.stdout, "  pod:     %s\n", placement(d.Placement))
	}
	if !explain {
		return
	}
	fmt.Fprintln(a.stdout, "\nfacts")
	w := tabwriter.NewWriter(a.stdout, 0, 8, 2, ' ', 0)
	for _, row := range factTable(f) {
		fmt.Fprintf(w, "  %s\t%s\n", row[0], row[1])
	}
	w.Flush()
	fmt.Fprintln(a.stdout, "\nrules, in their order")
	for _, s := range t.rules.Explain(f) {
		a.printStep(s)
	}
}

func (a *app) printStep(s policy.Step) {
	mark := ""
	if s.Decides {
		mark = "  <- decides"
	}
	fmt.Fprintf(a.stdout, "  %-5s %s (%s): %s%s\n", s.Action, s.Rule, s.Key, fits(s.Fits), mark)
	for _, c := range s.Conditions {
		fmt.Fprintf(a.stdout, "          %s: %s: %s\n", c.Key+" = "+c.Wants, fits(c.Fits), c.Fact)
	}
}

func fits(word string) string {
	switch word {
	case "yes":
		return "fits"
	case "no":
		return "does not fit"
	}
	return "not certain"
}

func factTable(f policy.Facts) [][2]string {
	kind, name := f.RefName()
	rows := [][2]string{
		{"project", fmt.Sprintf("%s (%d)", f.Project, f.ProjectID)},
		{"ref", fmt.Sprintf("%s (%s)", name, kind)},
		{"protected", f.Protected.String()},
		{"source", f.Source.String()},
		{"fork", f.Fork.String()},
		{"user", fmt.Sprintf("%s (%d)", f.User, f.UserID)},
		{"job", strconv.Quote(f.Job)},
		{"environment", f.Environment.String()},
	}
	if f.Image.Name != "" {
		rows = append(rows, [2]string{"image", strconv.Quote(f.Image.Name)})
	}
	for _, s := range f.Services {
		rows = append(rows, [2]string{"service", strconv.Quote(s.Name)})
	}
	return rows
}
