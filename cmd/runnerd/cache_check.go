package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/runnerd/runnerd/pkg/cache/store"
	"github.com/runnerd/runnerd/pkg/config"
)

func cacheCheckCommand(a *app) *cobra.Command {
	var f cacheFlags
	c := &cobra.Command{
		Use:   "check",
		Short: "Prove that the cache bucket works, before the first job does",
		Long: `Prove that the cache bucket works: everything that runnerd and its jobs do with
it is done once, with a few small objects that are deleted again. Each line is
one probe with a verdict: ok, warn, or FAIL with what to do. The bucket's rules
are looked at and not changed.

The exit code is 1 when a probe failed.`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := f.check(); err != nil {
				return err
			}
			return withInterrupt(c.Context(), func(ctx context.Context) error { return a.cacheCheck(ctx, f) })
		},
	}
	f.add(c)
	return c
}

// A cacheReport is what the check of one place found out, for -o json.
type cacheReport struct {
	Runners  []string        `json:"runners"`
	Store    string          `json:"store"`
	OK       bool            `json:"ok"`
	Findings []store.Finding `json:"findings"`
}

func (a *app) cacheCheck(ctx context.Context, f cacheFlags) error {
	places, err := a.cachePlaces(f.runner, true)
	if err != nil {
		return err
	}
	var reports []cacheReport
	bad := 0
	for i, p := range places {
		if f.output == outputText {
			if i > 0 {
				fmt.Fprintln(a.stdout)
			}
			fmt.Fprintf(a.stdout, "%s (%s)\n", p, strings.Join(p.Runners, ", "))
		}
		r, err := a.checkPlace(ctx, p, f.output == outputText)
		if err != nil {
			return err
		}
		if !r.OK {
			bad++
		}
		reports = append(reports, r)
	}
	if f.output == outputJSON {
		if err := a.json(reports); err != nil {
			return err
		}
	}
	if bad > 0 {
		return fmt.Errorf("%d of %s cannot hold caches", bad, count(len(places), "store"))
	}
	return nil
}

// checkPlace probes one place, and prints each finding as it is made.
func (a *app) checkPlace(ctx context.Context, p cachePlace, text bool) (cacheReport, error) {
	r := cacheReport{Runners: p.Runners, Store: p.String(), OK: true}
	b, err := store.Open(p.Store)
	if err != nil {
		return r, err
	}
	defer b.Close()
	for found := range store.Check(ctx, b, store.CheckOptions{Prefix: p.Prefix, Expire: expiringPrefix(p.Prefix), Days: config.Lifetime(p.Cache.Lifetime).Days()}) {
		r.Findings = append(r.Findings, found)
		r.OK = r.OK && found.Verdict != store.Fail
		if text {
			fmt.Fprintf(a.stdout, "  %-4s  %-15s  %s\n", found.Verdict, found.Probe, found.Detail)
			if found.Advice != "" {
				fmt.Fprintf(a.stdout, "  %-4s  %-15s  → %s\n", "", "", found.Advice)
			}
		}
	}
	return r, ctx.Err()
}
