package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/runnerd/runnerd/pkg/config"
	"github.com/runnerd/runnerd/pkg/gitlab"
	"github.com/runnerd/runnerd/pkg/job"
	"github.com/runnerd/runnerd/pkg/policy"
)

func policyCommand(a *app) *cobra.Command {
	c := &cobra.Command{
		Use:   "policy",
		Short: "Try out and test which jobs a runner takes",
		Args:  noCommand,
		RunE:  func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(policyCheckCommand(a), policyTestCommand(a), policyNetworkCommand(a))
	return c
}

// A trial is a runner's policy outside of a daemon.
type trial struct {
	runner config.Runner
	rules  *policy.Rules
}

// newTrial takes the policy of the runner called name; "" is the only one.
func newTrial(c *config.Config, path, name string) (trial, error) {
	found, err := selection{name: name}.of(c, path)
	if err != nil {
		return trial{}, usageError{err}
	}
	if len(found) != 1 {
		return trial{}, usageError{fmt.Errorf("%s has %s; name one with --runner", path, count(len(c.Runners), "runner"))}
	}
	t := trial{runner: c.Runners[found[0]]}
	t.rules, err = policy.New(policyConfig(t.runner))
	return t, err
}

// facts compiles a payload as the daemon does. An error says that it never
// becomes a job that a policy could judge.
func (t trial) facts(payload []byte) (policy.Facts, error) {
	j, err := gitlab.DecodeJob(payload)
	if err != nil {
		return policy.Facts{}, fmt.Errorf("not a job's payload: %w", err)
	}
	plan, err := job.Compile(j, planSettings(t.runner, currentBuild()))
	if err != nil {
		return policy.Facts{}, fmt.Errorf("the job would fail before the policy is asked: %w", err)
	}
	return policy.FactsOf(j, plan), nil
}

// decide decides without asking a registry: where digests are looked up, what
// depends on one is allowed.
func (t trial) decide(f policy.Facts) policy.Decision {
	if t.rules.Pins() || len(t.runner.Policy.Signatures) > 0 {
		return t.rules.Screen(f)
	}
	return t.rules.Decide(f)
}
