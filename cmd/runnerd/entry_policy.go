package main

import (
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/runnerd/runnerd/pkg/config"
	"github.com/runnerd/runnerd/pkg/executor/kubernetes"
	"github.com/runnerd/runnerd/pkg/gitlab"
	"github.com/runnerd/runnerd/pkg/job"
	"github.com/runnerd/runnerd/pkg/judge"
	"github.com/runnerd/runnerd/pkg/metrics"
	"github.com/runnerd/runnerd/pkg/policy"
)

// judge makes what decides about e's jobs.
func (d *daemon) judge(e *entry, id metrics.Runner) (*judge.Judge, error) {
	p := e.config.Policy
	rules, err := policy.New(policyConfig(e.config))
	if err != nil {
		return nil, err
	}
	o := judge.Options{
		Rules: rules, Log: e.log,
		Count: func(outcome, rule string, took time.Duration) { d.policy.Decided(id, outcome, rule, took) },
	}
	if p.NetworkPolicy {
		o.NetworkTier = p.NetworkTier
	}
	if p.PinImages || len(p.Signatures) > 0 {
		asked, err := askedRegistries(p, d.build)
		if err != nil {
			return nil, err
		}
		e.closes = append(e.closes, asked.client.Close)
		o.Registry = asked
	}
	if p.Events && e.pods != nil {
		o.Recorder = recorder{e.pods}
	}
	if p.GitLab.Asks() {
		facts, err := gitlab.NewFacts(d.factsConfig(e.config))
		if err != nil {
			return nil, err
		}
		e.closes = append(e.closes, facts.Close)
		o.GitLab, o.Patience = askedGitLab{facts}, p.GitLab.Timeout.Duration()
	}
	return judge.New(o), nil
}

// recorder writes decisions into the cluster as events.
type recorder struct{ pods *kubernetes.Executor }

func (r recorder) Record(ctx context.Context, plan *job.Plan, d policy.Decision) error {
	message := d.Reason
	if message == "" {
		message = "rule " + d.Rule + ": " + d.Fact
	}
	return r.pods.Record(ctx, plan, kubernetes.Verdict{
		Denied: d.Action == policy.Deny, Audit: d.Audit, Rule: d.Rule, Message: message,
	})
}

// factsConfig says how GitLab is asked about an entry's jobs.
func (d *daemon) factsConfig(r config.Runner) gitlab.FactsConfig {
	read := r.Policy.GitLab
	return gitlab.FactsConfig{
		URL: r.URL, TLS: tlsFiles(r, d.path), UserAgent: product + "/" + d.build.Version,
		Metrics: d.gitlab, Runner: r.Token, SystemID: d.systemID,
		CacheFor: read.CacheFor.Duration(), Timeout: read.Timeout.Duration(),
		Token: func() (job.Secret, error) {
			if read.TokenFile == "" {
				return read.Token, nil
			}
			text, err := os.ReadFile(read.TokenFile)
			if err != nil {
				return "", fmt.Errorf("[runners.policy.gitlab] token_file: %w", err)
			}
			return job.Secret(strings.TrimSpace(string(text))), nil
		},
	}
}

// askedGitLab is GitLab as package judge asks it.
type askedGitLab struct{ *gitlab.Facts }

func (g askedGitLab) Job(ctx context.Context, projectID, jobID int64) (tags []string, user string, err error) {
	facts, err := g.Facts.Job(ctx, projectID, jobID)
	return facts.Tags, facts.UserLogin, err
}

// policyConfig translates what a runner's entry says of policy.
func policyConfig(r config.Runner) policy.Config {
	c := policy.Config{
		AllowedImages: r.Kubernetes.AllowedImages, AllowedServices: r.Kubernetes.AllowedServices,
		DeniedImages: r.Policy.DeniedImages, DeniedServices: r.Policy.DeniedServices,
		AllowedUsers: r.Kubernetes.AllowedUsers, AllowedGroups: r.Kubernetes.AllowedGroups,
		DefaultImage: r.Kubernetes.Image, ProtectedOnly: r.Policy.ProtectedRefsOnly,
		DefaultDeny: r.Policy.Default == config.DefaultDeny, Audit: r.Policy.Mode == config.ModeAudit,
		Contact: r.Policy.Contact, Pins: r.Policy.PinImages, AsksGitLab: r.Policy.GitLab.Asks(),
		Classes: slices.Sorted(maps.Keys(r.Kubernetes.ResourceClasses)),
	}
	for _, s := range r.Policy.Signatures {
		c.Signatures = append(c.Signatures, s.Images)
	}
	if r.Policy.NetworkPolicy {
		c.Tiers = tierNames(r.Policy)
	}
	for _, rule := range r.Policy.Rules {
		c.Rules = append(c.Rules, policyRule(rule))
	}
	return c
}

// tierNames are the tiers that a rule may choose.
func tierNames(p config.Policy) []string {
	tiers := []string{p.NetworkTier}
	for _, t := range p.Network.Tiers {
		tiers = append(tiers, t.Name)
	}
	return tiers
}

func policyRule(r config.Rule) policy.Rule {
	return policy.Rule{
		Name: r.Name, Action: policy.Action(r.Action), Reason: r.Reason,
		Projects: r.Projects, Refs: r.Refs, Sources: r.Sources, Users: r.Users, Jobs: r.Jobs,
		Environments: r.Environments, Tags: r.Tags, Images: r.Images, UserIDs: r.UserIDs,
		Protected: tristate(r.Protected), Forks: tristate(r.Forks), EnvironmentProtected: tristate(r.EnvironmentProtected),
		Expression: r.Expression,
		Placement: job.Placement{
			Namespace: r.Namespace, ServiceAccount: r.ServiceAccount,
			NodeSelector: r.NodeSelector, NodeTolerations: r.NodeTolerations,
			ResourceClass: r.ResourceClass, NetworkTier: r.NetworkTier, CacheTier: r.CacheTier,
		},
	}
}

func tristate(o config.Optional[bool]) job.Tristate {
	switch {
	case !o.Set:
		return job.Unset
	case o.Value:
		return job.True
	}
	return job.False
}
