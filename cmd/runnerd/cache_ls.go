package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/docker/go-units"
	"github.com/spf13/cobra"

	"github.com/runnerd/runnerd/pkg/cache"
	"github.com/runnerd/runnerd/pkg/cache/store"
	"github.com/runnerd/runnerd/pkg/config"
)

// filterFlags say which caches a command is about.
type filterFlags struct {
	project   int64
	key       string
	olderThan string
}

func (f *filterFlags) add(c *cobra.Command) {
	c.Flags().Int64VarP(&f.project, "project", "p", 0, "only caches of the project with this `id`")
	c.Flags().StringVarP(&f.key, "key", "k", "", "only caches whose key has this `text` in it, or is it, with * for anything")
	c.Flags().StringVar(&f.olderThan, "older-than", "", "only caches that have not been used for this `time`, such as 30d")
}

func (f *filterFlags) filter() (cache.Filter, error) {
	age, ok := config.ParseLifetime(f.olderThan)
	if !ok {
		return cache.Filter{}, usageError{fmt.Errorf(`--older-than %q: write a time such as "30d", "2w" or "36h"`, f.olderThan)}
	}
	if f.project < 0 {
		return cache.Filter{}, usageError{fmt.Errorf("--project %d: write the id of a project", f.project)}
	}
	return cache.Filter{Project: f.project, Key: f.key, OlderThan: age}, nil
}

func cacheListCommand(a *app) *cobra.Command {
	var f cacheFlags
	var only filterFlags
	c := &cobra.Command{
		Use:   "ls",
		Short: "List the caches",
		Args:  noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			filter, err := only.filter()
			if err == nil {
				err = f.check()
			}
			if err != nil {
				return err
			}
			return withInterrupt(c.Context(), func(ctx context.Context) error { return a.cacheList(ctx, f, filter) })
		},
	}
	f.add(c)
	only.add(c)
	return c
}

// A listedCache is a cache as -o json prints it.
type listedCache struct {
	Project    int64       `json:"project"`
	Class      cache.Class `json:"class"` // p, u or s: protected, unprotected, shared
	Key        string      `json:"key"`
	Bytes      int64       `json:"bytes"` // in the store, with what is unused
	BaseBytes  int64       `json:"base_bytes"`
	DeltaBytes int64       `json:"delta_bytes"`
	Unused     int64       `json:"unused_bytes"`
	Objects    int         `json:"objects"`
	RawBytes   int64       `json:"raw_bytes"` // of the files
	Entries    int         `json:"entries"`
	Created    time.Time   `json:"created,omitzero"`
	LastUsed   time.Time   `json:"last_used"`
	Job        int64       `json:"job"`
	Ref        string      `json:"ref"`
	Problem    string      `json:"problem,omitempty"`
}

func listed(e cache.Entry) listedCache {
	return listedCache{
		Project: e.Project, Class: e.Class, Key: e.Key, Bytes: e.Bytes, BaseBytes: e.Base, DeltaBytes: e.Delta,
		Unused: e.Orphans, Objects: e.Objects, RawBytes: e.Raw, Entries: e.Entries,
		Created: e.Created, LastUsed: e.LastUsed, Job: e.Job, Ref: e.Ref, Problem: e.Problem,
	}
}

func (a *app) cacheList(ctx context.Context, f cacheFlags, filter cache.Filter) error {
	type listing struct {
		Runners []string      `json:"runners"`
		Store   string        `json:"store"`
		Caches  []listedCache `json:"caches"`
	}
	var all []listing
	err := a.eachPlace(f, func(p cachePlace, c *cache.Cache) error {
		l := listing{Runners: p.Runners, Store: p.String(), Caches: []listedCache{}}
		for e, err := range c.Entries(ctx, filter) {
			if err != nil {
				return err
			}
			l.Caches = append(l.Caches, listed(e))
		}
		if f.output == outputText {
			return printCaches(a.stdout, l.Caches)
		}
		all = append(all, l)
		return nil
	})
	if err == nil && f.output == outputJSON {
		err = a.json(all)
	}
	return err
}

// eachPlace calls do for each store, behind a line that names it.
func (a *app) eachPlace(f cacheFlags, do func(cachePlace, *cache.Cache) error) error {
	places, err := a.cachePlaces(f.runner, false)
	if err != nil {
		return err
	}
	for i, p := range places {
		if f.output == outputText {
			if i > 0 {
				fmt.Fprintln(a.stdout)
			}
			fmt.Fprintf(a.stdout, "%s (%s)\n", p, strings.Join(p.Runners, ", "))
		}
		if err := withCache(p, func(c *cache.Cache) error { return do(p, c) }); err != nil {
			return err
		}
	}
	return nil
}

// withCache opens the place's bucket for do.
func withCache(p cachePlace, do func(*cache.Cache) error) error {
	b, err := store.Open(p.Store)
	if err != nil {
		return err
	}
	defer b.Close()
	c, err := cache.New(b, p.Cache)
	if err != nil {
		return err
	}
	return do(c)
}

func printCaches(w io.Writer, caches []listedCache) error {
	if len(caches) == 0 {
		fmt.Fprintln(w, "no caches")
		return nil
	}
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintln(t, "PROJECT\tCLASS\tSIZE\tFILES\tSAVED\tLAST USED\tBY\tKEY")
	var bytes int64
	for _, e := range caches {
		fmt.Fprintf(t, "%d\t%s\t%s\t%d\t%s\t%s\t%s\t%s\n",
			e.Project, e.Class, size(e.Bytes), e.Entries, ago(e.Created), ago(e.LastUsed), e.savedBy(), e.label())
		bytes += e.Bytes
	}
	if err := t.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(w, "%s, %s\n", count(len(caches), "cache"), size(bytes))
	return nil
}

// label is the key, and why the cache is of no use if it is not.
func (e listedCache) label() string {
	if e.Problem == "" {
		return e.Key
	}
	return strings.TrimSpace(e.Key + " (" + e.Problem + ")")
}

func (e listedCache) savedBy() string {
	if e.Job == 0 {
		return "-"
	}
	return fmt.Sprintf("job %d on %s", e.Job, e.Ref)
}

func size(bytes int64) string { return units.BytesSize(float64(bytes)) }

// ago says how long ago something was, for people.
func ago(at time.Time) string {
	if at.IsZero() {
		return "-"
	}
	return strings.ToLower(units.HumanDuration(max(time.Since(at), 0))) + " ago"
}
