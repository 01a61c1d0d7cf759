package main

import (
	"context"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/runnerd/runnerd/pkg/cache"
)

func cacheStatCommand(a *app) *cobra.Command {
	var f cacheFlags
	c := &cobra.Command{
		Use:   "stat",
		Short: "Say how much each project's caches take up",
		Long: `Say how much each project's caches take up, with what lies beside them for a
while: uploads that were not finished, and what newer caches have replaced.`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := f.check(); err != nil {
				return err
			}
			return withInterrupt(c.Context(), func(ctx context.Context) error { return a.cacheStat(ctx, f) })
		},
	}
	f.add(c)
	return c
}

// projectStat is what a project takes up, as -o json prints it.
type projectStat struct {
	Project int64 `json:"project"`
	Caches  int   `json:"caches"`
	Objects int   `json:"objects"`
	Bytes   int64 `json:"bytes"`
}

func (a *app) cacheStat(ctx context.Context, f cacheFlags) error {
	type listing struct {
		Runners  []string      `json:"runners"`
		Store    string        `json:"store"`
		Projects []projectStat `json:"projects"`
	}
	var all []listing
	err := a.eachPlace(f, func(p cachePlace, c *cache.Cache) error {
		stats, err := c.Stat(ctx)
		if err != nil {
			return err
		}
		l := listing{Runners: p.Runners, Store: p.String(), Projects: []projectStat{}}
		for _, s := range stats {
			l.Projects = append(l.Projects, projectStat{Project: s.Project, Caches: s.Keys, Objects: s.Objects, Bytes: s.Bytes})
		}
		if f.output == outputText {
			return printStats(a.stdout, l.Projects)
		}
		all = append(all, l)
		return nil
	})
	if err == nil && f.output == outputJSON {
		err = a.json(all)
	}
	return err
}

func printStats(w io.Writer, stats []projectStat) error {
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintln(t, "PROJECT\tCACHES\tOBJECTS\tSIZE")
	var total projectStat
	for _, s := range stats {
		fmt.Fprintf(t, "%d\t%d\t%d\t%s\n", s.Project, s.Caches, s.Objects, size(s.Bytes))
		total.Caches += s.Caches
		total.Objects += s.Objects
		total.Bytes += s.Bytes
	}
	fmt.Fprintf(t, "all\t%d\t%d\t%s\n", total.Caches, total.Objects, size(total.Bytes))
	return t.Flush()
}
