package main

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/runnerd/runnerd/internal/policycase"
	"github.com/runnerd/runnerd/pkg/job"
	"github.com/runnerd/runnerd/pkg/policy"
)

func policyTestCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "test DIR",
		Short: "Check that the policy decides as expected",
		Long: `Check that the policy decides as expected: DIR holds cases in TOML, for a team's
own CI.

  runner = "production"            # of the config file; not needed when it has one

  [[case]]
  name = "nobody deploys from a fork"
  expect = "deny"                  # allow, deny or shape
  rule = "forks"                   # the rule that has to decide; may be left out
  job = { ref = "refs/merge-requests/1/head", fork = true, image = "debian:12" }

A job is written as what differs from an ordinary one of branch main: project,
ref, ref_kind, protected, source, fork, user, user_id, name, stage, environment,
environment_protected, tags, image, services. What GitLab would be asked is
answered by these too, unless gitlab_away = true. variables are those of the
job's author. merge and remove change the payload in any other way; pod_image is
what the pod would run when something changes it behind the decision. placement
checks a shape: namespace, service_account, node_selector, resource_class,
network_tier, cache_tier.

A file may name its own config and payload (an ordinary job), beside itself.

The exit code is 1 when a case is decided otherwise, and 2 when one cannot be
tried.`,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usageError{fmt.Errorf("%s takes one folder; see %[1]s --help", c.CommandPath())}
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error { return a.policyTest(args[0]) },
	}
}

func (a *app) policyTest(dir string) error {
	files, err := policycase.Load(dir)
	if err != nil {
		return usageError{err}
	}
	passed, failed := 0, 0
	for _, file := range files {
		t, err := a.trialFor(file)
		if err != nil {
			return err
		}
		for _, c := range file.Cases {
			problem, err := t.try(file, c)
			if err != nil {
				return usageError{fmt.Errorf("%s: case %q: %w", file.Path, c.Name, err)}
			}
			if problem != "" {
				failed++
				fmt.Fprintf(a.stdout, "FAIL %s: %s\n     %s\n", file.Path, c.Name, problem)
				continue
			}
			passed++
			fmt.Fprintf(a.stdout, "ok   %s: %s\n", file.Path, c.Name)
		}
	}
	fmt.Fprintf(a.stdout, "%d passed, %d failed\n", passed, failed)
	if failed > 0 {
		return fmt.Errorf("%s decided otherwise than expected", count(failed, "case"))
	}
	return nil
}

// trialFor reads the config that a file of cases is about.
func (a *app) trialFor(f policycase.File) (trial, error) {
	own := *a
	if f.Config != "" {
		own.configPath = f.Beside(f.Config)
	}
	c, _, err := own.load()
	if err != nil {
		return trial{}, err
	}
	return newTrial(c, own.configPath, f.Runner)
}

// try returns what is otherwise than the case expects; "" when nothing is.
func (t trial) try(f policycase.File, c policycase.Case) (problem string, err error) {
	payload, err := c.Payload(f.Beside(f.Payload))
	if err != nil {
		return "", err
	}
	facts, err := t.facts(payload)
	if err != nil {
		return "", err
	}
	t.answer(&facts, c)
	d := t.decide(facts)
	if c.PodImage != "" && d.Action != policy.Deny {
		if pod := t.rules.DecidePod(facts, []policy.Ran{{Service: policy.Build, Image: c.PodImage}}); pod.Action == policy.Deny {
			d = pod
		}
	}
	switch {
	case string(d.Action) != c.Expect:
		return fmt.Sprintf("expected %s, is %s by %s: %s", c.Expect, d.Action, d.Rule, cmp.Or(d.Reason, d.Fact)), nil
	case c.Rule != "" && c.Rule != d.Rule:
		return fmt.Sprintf("expected rule %q to decide, %q did: %s", c.Rule, d.Rule, cmp.Or(d.Reason, d.Fact)), nil
	}
	return misplaced(c.Placement, d.Placement), nil
}

// answer gives the facts that GitLab would be asked for.
func (t trial) answer(f *policy.Facts, c policycase.Case) {
	needs := t.rules.Needs()
	if c.GitLabAway {
		const why = "GitLab was asked and did not answer"
		if needs.Protected {
			f.Protected = policy.Doubtful(why)
		}
		if needs.User {
			f.User = policy.Uncertain(why)
		}
		if needs.Environment || needs.EnvironmentProtected {
			f.Environment, f.EnvironmentProtected = policy.Uncertain(why), policy.Doubtful(why)
		}
		return
	}
	if kind, _ := f.RefName(); needs.Protected && kind == policy.KindMergeRequest {
		f.Protected = policy.FlagOf(false)
	}
	if (needs.Environment || needs.EnvironmentProtected) && c.Job.Environment != "" {
		f.Environment = policy.Certain(c.Job.Environment)
	}
	if needs.EnvironmentProtected && len(f.Environment.Values) == 1 {
		f.EnvironmentProtected = policy.FlagOf(c.Job.EnvironmentProtected)
	}
	if needs.User {
		f.User = policy.Certain(cmp.Or(c.Job.User, "dev"))
	}
	if needs.Tags || needs.User {
		f.Tags, f.TagsKnown = c.Job.Tags, true
	}
}

// misplaced returns in what a shape is otherwise than expected.
func misplaced(want policycase.Placement, got job.Placement) string {
	wanted := shapedFields(job.Placement{
		Namespace: want.Namespace, ServiceAccount: want.ServiceAccount, ResourceClass: want.ResourceClass,
		NetworkTier: want.NetworkTier, CacheTier: want.CacheTier,
	})
	for i, field := range shapedFields(got) {
		if w := wanted[i]; w.value != "" && w.value != field.value {
			return fmt.Sprintf("expected %s = %q, is %q", w.key, w.value, field.value)
		}
	}
	if want.NodeSelector != nil && !maps.Equal(want.NodeSelector, got.NodeSelector) {
		return fmt.Sprintf("expected node_selector = %v, is %v", want.NodeSelector, got.NodeSelector)
	}
	return ""
}

type shapedField struct{ key, value string }

// shapedFields are those of a shape that are one text, always in one order.
func shapedFields(p job.Placement) []shapedField {
	return []shapedField{
		{"namespace", p.Namespace},
		{"service_account", p.ServiceAccount},
		{"resource_class", p.ResourceClass},
		{"network_tier", p.NetworkTier},
		{"cache_tier", p.CacheTier},
	}
}

// placement says in one line what of a pod differs.
func placement(p job.Placement) string {
	var out []string
	for _, field := range shapedFields(p) {
		if field.value != "" {
			out = append(out, field.key+" = "+field.value)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(p.NodeSelector)) {
		out = append(out, "node "+key+" = "+p.NodeSelector[key])
	}
	for _, key := range slices.Sorted(maps.Keys(p.NodeTolerations)) {
		out = append(out, "tolerates "+key)
	}
	return strings.Join(out, ", ")
}
