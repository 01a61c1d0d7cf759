package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/runnerd/runnerd/pkg/cache/store"
	"github.com/runnerd/runnerd/pkg/config"
)

func cacheInitCommand(a *app) *cobra.Command {
	var f cacheFlags
	c := &cobra.Command{
		Use:   "init",
		Short: "Make the cache bucket, where there is none, and check it",
		Long: `Make the bucket of each runner's caches where there is none, and have it delete
what is older than the lifetime in [runners.cache]; then do what runnerd cache
check does. What is there already stays as it is, so that this can be repeated.`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := f.check(); err != nil {
				return err
			}
			return withInterrupt(c.Context(), func(ctx context.Context) error { return a.cacheInit(ctx, f) })
		},
	}
	f.add(c)
	return c
}

func (a *app) cacheInit(ctx context.Context, f cacheFlags) error {
	places, err := a.cachePlaces(f.runner, true)
	if err != nil {
		return err
	}
	for _, p := range places {
		if err := initPlace(ctx, p); err != nil {
			return err
		}
	}
	return a.cacheCheck(ctx, f)
}

// initPlace makes the bucket and its rule. The rule is not for each store, and
// nothing without it is broken: the check says how it is.
func initPlace(ctx context.Context, p cachePlace) error {
	b, err := store.Open(p.Store)
	if err != nil {
		return err
	}
	defer b.Close()
	if _, err := b.EnsureExists(ctx); err != nil {
		return fmt.Errorf("make the bucket of %s: %w", p, err)
	}
	if days := config.Lifetime(p.Cache.Lifetime).Days(); days > 0 {
		_, _ = b.EnsureExpiry(ctx, expiringPrefix(p.Prefix), days)
	}
	return nil
}
