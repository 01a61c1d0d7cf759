package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/runnerd/runnerd/test/cluster/internal/teardown"
)

// downTimeout bounds all of "down".
const downTimeout = 2 * time.Minute

func (a *app) downCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "down",
		Short: "Stop the cluster and remove all of it; only caches stay",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.cluster()
			if err != nil {
				return err
			}
			unlock, err := lock(c)
			if err != nil {
				return err
			}
			defer unlock()
			if teardown.Traces(c) == "" {
				fmt.Fprintf(a.stdout, "cluster %s is not up\n", c.Name)
				return nil
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), downTimeout)
			defer cancel()
			began := time.Now()
			if err := teardown.Run(ctx, c, a.stdout); err != nil {
				return err
			}
			fmt.Fprintf(a.stdout, "cluster %s down %.1fs\n", c.Name, time.Since(began).Seconds())
			return nil
		},
	}
}
