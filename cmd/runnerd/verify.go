package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/spf13/cobra"

	"github.com/runnerd/runnerd/pkg/config"
	"github.com/runnerd/runnerd/pkg/gitlab"
)

func verifyCommand(a *app) *cobra.Command {
	var s selection
	var remove bool
	c := &cobra.Command{
		Use:   "verify",
		Short: "Ask GitLab whether the runners' tokens are good",
		Long: `Ask GitLab whether the runners' tokens are good: of all runners of the
configuration, or of those that the flags select. The exit code is 1 unless all
are good.`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return withInterrupt(c.Context(), func(ctx context.Context) error { return a.verify(ctx, s, remove) })
		},
	}
	addSelection(c, &s)
	c.Flags().BoolVar(&remove, "delete", false, "take runners that GitLab has removed out of the file")
	return c
}

func addSelection(c *cobra.Command, s *selection) {
	c.Flags().StringVarP(&s.name, "name", "n", "", "only runners of this name")
	c.Flags().StringVarP(&s.url, "url", "u", "", "only runners at this GitLab")
	c.Flags().StringVarP(&s.token, "token", "t", "", "only the runner with this authentication token")
}

func (a *app) verify(ctx context.Context, s selection, remove bool) error {
	c, _, err := a.load()
	if err != nil {
		return err
	}
	selected, err := s.of(c, a.configPath)
	if err != nil {
		return err
	}
	var gone []config.Runner
	bad := 0
	for _, i := range selected {
		r := c.Runners[i]
		err := verifyOne(ctx, a.configPath, r)
		if err == nil {
			fmt.Fprintf(a.stdout, "%s: valid\n", label(r))
			continue
		}
		bad++
		fmt.Fprintf(a.stderr, "runnerd: %s: %v\n", label(r), err)
		if statusOf(err) == http.StatusForbidden {
			gone = append(gone, r)
		}
	}
	if remove && len(gone) > 0 {
		if err := removeEntries(a.configPath, gone); err != nil {
			return err
		}
		for _, r := range gone {
			fmt.Fprintf(a.stdout, "%s: taken out of %q\n", label(r), a.configPath)
		}
	}
	if bad > 0 {
		return fmt.Errorf("%d of %s not verified", bad, count(len(selected), "runner"))
	}
	return nil
}

func verifyOne(ctx context.Context, path string, r config.Runner) error {
	client, err := newClient(path, r)
	if err != nil {
		return err
	}
	defer client.Close()
	_, err = client.Verify(ctx)
	switch statusOf(err) {
	case http.StatusForbidden:
		return fmt.Errorf("%w; GitLab has removed this runner: register a new one, and take this one out with runnerd verify --delete", err)
	case http.StatusUnprocessableEntity:
		return fmt.Errorf("%w; the runner belongs to nobody any more: register a new one", err)
	}
	return err
}

// statusOf returns the HTTP status that GitLab refused with, 0 for any other
// error.
func statusOf(err error) int {
	if refused, ok := errors.AsType[*gitlab.StatusError](err); ok {
		return refused.Status
	}
	return 0
}

// label names a runner in messages.
func label(r config.Runner) string {
	return fmt.Sprintf("runner %q (%s)", r.Name, gitlab.ShortToken(r.Token))
}
