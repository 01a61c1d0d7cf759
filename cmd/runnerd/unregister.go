package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/runnerd/runnerd/pkg/config"
	"github.com/runnerd/runnerd/pkg/gitlab"
)

func unregisterCommand(a *app) *cobra.Command {
	var s selection
	var all bool
	c := &cobra.Command{
		Use:   "unregister",
		Short: "Sign runners off from GitLab and take them out of the configuration",
		Long: `Sign runners off from GitLab and take them out of the configuration.

A runner that was created in GitLab (token glrt-…) stays there; only this
machine's part in it ends. A runner that was made with a registration token is
deleted.`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if s.empty() != all {
				return usageError{errors.New("say which runners: either --name, --url and --token, or --all-runners")}
			}
			return withInterrupt(c.Context(), func(ctx context.Context) error { return a.unregister(ctx, s) })
		},
	}
	addSelection(c, &s)
	c.Flags().BoolVar(&all, "all-runners", false, "all runners of the configuration")
	return c
}

func (a *app) unregister(ctx context.Context, s selection) error {
	c, _, err := a.load()
	if err != nil {
		return err
	}
	selected, err := s.of(c, a.configPath)
	if err != nil {
		return err
	}
	var gone []config.Runner
	var failed []error
	for _, i := range selected {
		r := c.Runners[i]
		if err := signOff(ctx, a.configPath, r); err != nil {
			failed = append(failed, fmt.Errorf("%s: %w", label(r), err))
			continue
		}
		gone = append(gone, r)
	}
	if len(gone) > 0 {
		if err := removeEntries(a.configPath, gone); err != nil {
			failed = append(failed, err)
		} else {
			for _, r := range gone {
				fmt.Fprintf(a.stdout, "%s: unregistered and taken out of %q\n", label(r), a.configPath)
			}
		}
	}
	return errors.Join(failed...)
}

// signOff removes this manager of a runner, or the whole runner where it was
// made for this manager alone. One that GitLab does not know is signed off.
func signOff(ctx context.Context, path string, r config.Runner) error {
	client, err := newClient(path, r)
	if err != nil {
		return err
	}
	defer client.Close()
	if !gitlab.NewFlow(r.Token) {
		err = client.DeleteRunner(ctx)
	} else if err = client.Unregister(ctx); statusOf(err) == http.StatusNotFound {
		return nil
	}
	if statusOf(err) == http.StatusForbidden {
		return fmt.Errorf("%w; GitLab does not know the token: take the entry out with runnerd verify --delete", err)
	}
	return err
}

// withInterrupt lets SIGINT and SIGTERM end a short command.
func withInterrupt(ctx context.Context, f func(context.Context) error) error {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	return f(ctx)
}
