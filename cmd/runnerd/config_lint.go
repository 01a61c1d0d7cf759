package main

import (
	"fmt"

	"github.com/spf13/cobra"
)

func configCommand(a *app) *cobra.Command {
	c := &cobra.Command{
		Use:   "config",
		Short: "Look at the configuration",
		Args:  noCommand,
		RunE:  func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(&cobra.Command{
		Use:   "lint [FILE]",
		Short: "Check a configuration file and start nothing",
		Long: `Check a configuration file: FILE, or else that of --config.

Each problem is one line on standard error (file, line, key, what to do) and
makes the exit code 2. Keys of GitLab Runner that have no effect are listed on
standard output, each with its reason; they leave the exit code 0.`,
		Args: func(c *cobra.Command, args []string) error { return noArgs(c, args[min(1, len(args)):]) },
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) == 1 {
				a.configPath = args[0]
			}
			return a.lint()
		},
	})
	return c
}

func (a *app) lint() error {
	c, warnings, err := a.load()
	for _, w := range warnings {
		fmt.Fprintf(a.stdout, "%s\n", w)
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(a.stdout, "%s: valid: %s, %s\n", a.configPath, count(len(c.Runners), "runner"), count(len(warnings), "warning"))
	return nil
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
