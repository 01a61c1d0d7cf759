package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/docker/go-units"
	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"

	"github.com/runnerd/runnerd/pkg/cache"
)

type pruneFlags struct {
	cacheFlags
	filterFlags
	maxSize string
	dryRun  bool
}

func cachePruneCommand(a *app) *cobra.Command {
	var f pruneFlags
	c := &cobra.Command{
		Use:   "prune",
		Short: "Delete caches",
		Long: `Delete caches of the projects and keys that --project and --key choose, or of
all: those that were not used for the time of --older-than, and with --max-size
the least recently used ones until the rest of the chosen is no larger.

A job that finds its cache gone makes it anew, nothing worse.`,
		Example: `  runnerd cache prune --older-than 30d --dry-run
  runnerd cache prune --max-size 100GiB
  runnerd cache prune --project 42 --key node_modules`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			o, err := f.options()
			if err != nil {
				return err
			}
			return withInterrupt(c.Context(), func(ctx context.Context) error { return a.cachePrune(ctx, f, o) })
		},
	}
	f.cacheFlags.add(c)
	f.filterFlags.add(c)
	c.Flags().StringVar(&f.maxSize, "max-size", "", "keep no more than this `size`, such as 100GiB")
	c.Flags().BoolVar(&f.dryRun, "dry-run", false, "delete nothing, list what would be deleted")
	return c
}

func (f *pruneFlags) options() (cache.PruneOptions, error) {
	o := cache.PruneOptions{DryRun: f.dryRun}
	if err := f.cacheFlags.check(); err != nil {
		return o, err
	}
	chosen, err := f.filter()
	if err != nil {
		return o, err
	}
	o.Project, o.Key, o.OlderThan = chosen.Project, chosen.Key, chosen.OlderThan
	if f.maxSize != "" {
		if o.MaxSize, err = units.RAMInBytes(f.maxSize); err != nil || o.MaxSize <= 0 {
			return o, usageError{fmt.Errorf(`--max-size %q: write a size such as "100GiB"`, f.maxSize)}
		}
	}
	if chosen == (cache.Filter{}) && o.MaxSize == 0 {
		return o, usageError{errors.New("say what may go: --older-than, --max-size, --project or --key")}
	}
	return o, nil
}

// pruned is what was deleted in one store, as -o json prints it.
type pruned struct {
	Runners []string      `json:"runners"`
	Store   string        `json:"store"`
	DryRun  bool          `json:"dry_run"`
	Caches  []listedCache `json:"caches"`
	Objects int           `json:"objects"`
	Bytes   int64         `json:"bytes"`
}

func (a *app) cachePrune(ctx context.Context, f pruneFlags, o cache.PruneOptions) error {
	var all []pruned
	err := a.eachPlace(f.cacheFlags, func(p cachePlace, c *cache.Cache) error {
		done := a.progress(&o)
		result, err := c.Prune(ctx, o)
		done()
		r := pruned{Runners: p.Runners, Store: p.String(), DryRun: o.DryRun, Caches: []listedCache{}, Objects: result.Objects, Bytes: result.Bytes}
		for _, e := range result.Entries {
			r.Caches = append(r.Caches, listed(e))
		}
		all = append(all, r)
		if f.output == outputText {
			err = errors.Join(err, a.printPruned(r)) // also what an interrupted run has done
		}
		return err
	})
	if f.output == outputJSON && len(all) > 0 {
		err = errors.Join(err, a.json(all))
	}
	return err
}

func (a *app) printPruned(r pruned) error {
	if r.DryRun {
		if err := printCaches(a.stdout, r.Caches); err != nil {
			return err
		}
		fmt.Fprintf(a.stdout, "would delete %s, %s\n", count(len(r.Caches), "cache"), size(r.Bytes))
		return nil
	}
	fmt.Fprintf(a.stdout, "deleted %s, %s in %s\n", count(len(r.Caches), "cache"), size(r.Bytes), count(r.Objects, "object"))
	return nil
}

// progress shows a bar on a terminal while o is carried out. The function that
// it returns takes the bar away.
func (a *app) progress(o *cache.PruneOptions) func() {
	if o.DryRun || !isTerminal(a.stderr) {
		return func() {}
	}
	bar := progressbar.NewOptions(-1,
		progressbar.OptionSetWriter(a.stderr), progressbar.OptionSetDescription("deleting"),
		progressbar.OptionShowCount(), progressbar.OptionClearOnFinish(), progressbar.OptionSetPredictTime(false),
	)
	o.Progress = func(done, total int, bytes int64) {
		bar.ChangeMax(total)
		bar.Describe("deleting, " + size(bytes))
		_ = bar.Set(done) // a bar that cannot be drawn is not missed
	}
	return func() { _ = bar.Finish() }
}
