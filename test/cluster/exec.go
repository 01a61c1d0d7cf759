package main

import (
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/runnerd/runnerd/test/cluster/internal/component"
	"github.com/runnerd/runnerd/test/cluster/internal/netns"
)

func (a *app) execCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "exec [--name NAME] -- COMMAND [ARGUMENT...]",
		Short: "Run a command in the cluster's network, with the variables of \"env\"",
		Args:  cobra.MinimumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			return a.execInside(args[0], args)
		},
	}
	cmd.Flags().SetInterspersed(false) // flags after COMMAND are its own
	return cmd
}

// kubectlCommand runs the kubectl in this program, which main finds by the name
// that it is started under. Its flags are all kubectl's.
func (a *app) kubectlCommand() *cobra.Command {
	return &cobra.Command{
		Use:                "kubectl [ARGUMENT...]",
		Short:              "Run kubectl against the cluster that RUNNERD_CLUSTER_NAME names",
		DisableFlagParsing: true,
		RunE: func(_ *cobra.Command, args []string) error {
			self, err := os.Executable()
			if err != nil {
				return err
			}
			return a.execInside(self, append([]string{component.Kubectl}, args...))
		},
	}
}

// execInside replaces this process by a program in the cluster's network.
func (a *app) execInside(program string, argv []string) error {
	c, err := a.cluster()
	if err != nil {
		return err
	}
	if !netns.Exists(c.Netns()) {
		return exitError{exitDown, fmt.Errorf("cluster %s is not up", c.Name)}
	}
	return netns.Exec(c.Netns(), program, argv, withEnv(os.Environ(), c.Env()))
}

// withEnv returns env with more in place of variables of the same name.
func withEnv(env, more []string) []string {
	set := map[string]bool{}
	for _, v := range more {
		name, _, _ := strings.Cut(v, "=")
		set[name] = true
	}
	all := append([]string(nil), more...)
	for _, v := range env {
		if name, _, _ := strings.Cut(v, "="); !set[name] {
			all = append(all, v)
		}
	}
	return all
}

func (a *app) envCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "env",
		Short: "Print the variables by which tests find the cluster",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			c, err := a.cluster()
			if err != nil {
				return err
			}
			return printLines(a.stdout, c.Env())
		},
	}
}

func printLines(w io.Writer, lines []string) error {
	for _, line := range lines {
		if _, err := fmt.Fprintln(w, line); err != nil {
			return err
		}
	}
	return nil
}
