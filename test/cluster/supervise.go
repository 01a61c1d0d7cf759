package main

import (
	"os"

	"github.com/spf13/cobra"

	"github.com/runnerd/runnerd/test/cluster/internal/boot"
	"github.com/runnerd/runnerd/test/cluster/internal/cgroup"
	"github.com/runnerd/runnerd/test/cluster/internal/supervise"
)

// progressFD is where "init" and "supervise" get the pipe to "up".
const progressFD = 3

// initCommand is process 1 of the cluster; "up" starts it.
func (a *app) initCommand() *cobra.Command {
	return &cobra.Command{
		Use:    "init",
		Hidden: true,
		Args:   cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			c, err := a.cluster()
			if err != nil {
				return err
			}
			self, err := os.Executable()
			if err != nil {
				return err
			}
			if err := cgroup.JoinSystem(c.Cgroup()); err != nil {
				return err
			}
			argv := []string{self, "supervise", "--name", c.Name, "--dir", c.Dir}
			code, err := supervise.Init(argv, os.NewFile(progressFD, "progress"))
			if err != nil {
				return err
			}
			os.Exit(code) // the kernel ends the rest
			return nil
		},
	}
}

// superviseCommand is the supervisor; "init" starts it.
func (a *app) superviseCommand() *cobra.Command {
	return &cobra.Command{
		Use:    "supervise",
		Hidden: true,
		Args:   cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.cluster()
			if err != nil {
				return err
			}
			builder, err := a.builder(c)
			if err != nil {
				return err
			}
			progress := os.NewFile(progressFD, "progress")
			if err := boot.Run(cmd.Context(), c, builder, progress); err != nil {
				boot.Fail(progress, err)
				return err
			}
			return nil
		},
	}
}
